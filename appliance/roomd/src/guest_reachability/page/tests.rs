use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SingleCertAndKey;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::*;

fn certificate(name: &str) -> Arc<CertifiedKey> {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let chain = vec![cert.der().clone()];
    Arc::new(CertifiedKey::from_der(chain, key, &default_provider()).unwrap())
}

/// Shows that certificate to whoever comes.
fn show(listener: TcpListener, certificate: CertifiedKey) -> tokio::task::JoinHandle<()> {
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certificate)));
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = acceptor.accept(stream).await;
        }
    })
}

async fn found(url: &str, ours: &Arc<CertifiedKey>) -> Vec<FindingCode> {
    let page = Page {
        url: PublicUrl::new(url).unwrap(),
        is_configured: true,
        certificate: ShownCertificate::own(watch::channel(Arc::clone(ours)).1),
    };
    let findings = page.look().await.into_iter();
    findings.map(|finding| finding.code).collect()
}

#[tokio::test]
async fn the_page_is_known_by_its_certificate() {
    use FindingCode as Code;

    let ours = certificate("localhost");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = show(listener, (*ours).clone());
    let by_name = found(&format!("https://localhost:{port}"), &ours).await;
    assert!(by_name.starts_with(&[Code::PublicUrlResolves, Code::PublicUrlPrivate]));
    assert!(by_name.contains(&Code::PageServed), "{by_name:?}");
    assert_eq!(by_name.last(), Some(&Code::OutsideUnknown));

    let by_address = format!("https://127.0.0.1:{port}");
    assert_eq!(
        found(&by_address, &ours).await,
        [Code::PublicUrlPrivate, Code::PageNameNotCertified]
    );
    let another = certificate("localhost");
    assert_eq!(
        found(&by_address, &another).await,
        [Code::PublicUrlPrivate, Code::PageOfAnother]
    );
    server.abort();
    assert!(server.await.is_err(), "it was ended");
    assert_eq!(
        found(&by_address, &ours).await,
        [Code::PublicUrlPrivate, Code::PageNotServed]
    );
}

#[tokio::test]
async fn whoever_speaks_no_tls_is_not_the_page() {
    let ours = certificate("localhost");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let speaking = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let said = stream.write_all(b"220 mail.example.com ESMTP\r\n").await;
        (stream, said)
    });
    let codes = found(&format!("https://127.0.0.1:{port}"), &ours).await;
    assert_eq!(codes.last(), Some(&FindingCode::PageOfAnother));
    speaking.await.unwrap().1.unwrap();
}
