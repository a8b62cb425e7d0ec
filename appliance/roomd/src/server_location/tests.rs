use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::proto::op::{Message, Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, NAPTR, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use sip::transport::Transport;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use super::*;

/// What the server knows.
type Zone = Vec<(&'static str, RData)>;

/// A DNS server on loopback.
struct DnsServer {
    address: SocketAddr,
    /// The kinds of records that were asked for.
    asked: Arc<Mutex<Vec<RecordType>>>,
    task: JoinHandle<()>,
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn srv(priority: u16, weight: u16, port: u16, target: &str) -> RData {
    RData::SRV(SRV::new(priority, weight, port, name(target)))
}

fn naptr(order: u16, preference: u16, kind: &str, replacement: &str) -> RData {
    let text = |text: &str| text.as_bytes().into();
    let (kind, none) = (text(kind), text(""));
    RData::NAPTR(NAPTR::new(
        order,
        preference,
        text("s"),
        kind,
        none,
        name(replacement),
    ))
}

fn a(last: u8) -> RData {
    RData::A(A(Ipv4Addr::new(192, 0, 2, last)))
}

fn aaaa(last: u16) -> RData {
    RData::AAAA(AAAA(ipv6(last)))
}

fn ipv6(last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last)
}

impl DnsServer {
    async fn start(zone: Zone) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = asked.clone();
        let task = tokio::spawn(async move {
            let mut datagram = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut datagram).await {
                let question = Message::from_vec(&datagram[..length]).unwrap();
                let kinds = question.queries.iter().map(Query::query_type);
                noted.lock().unwrap().extend(kinds);
                let answer = answer(&zone, &datagram[..length]);
                socket.send_to(&answer, from).await.unwrap();
            }
        });
        Self {
            address,
            asked,
            task,
        }
    }
}

fn locator(server: SocketAddr) -> ServerLocator {
    let mut connection = ConnectionConfig::udp();
    connection.port = server.port();
    let mut server = NameServerConfig::udp(server.ip());
    server.connections = vec![connection];
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    ServerLocator {
        dns: Arc::new(Dns::Fixed(build(config, ResolverOpts::default()).unwrap())),
    }
}

fn answer(zone: &Zone, question: &[u8]) -> Vec<u8> {
    let question = Message::from_vec(question).unwrap();
    let mut response = Message::response(question.metadata.id, question.metadata.op_code);
    for query in &question.queries {
        response.add_query(query.clone());
        for (owner, data) in zone {
            if name(owner) == *query.name() && data.record_type() == query.query_type() {
                response.add_answer(Record::from_rdata(name(owner), 60, data.clone()));
            }
        }
        let known = zone.iter().any(|(owner, _)| name(owner) == *query.name());
        if !known {
            response.metadata.response_code = ResponseCode::NXDomain;
        }
        assert!(
            matches!(
                query.query_type(),
                RecordType::NAPTR | RecordType::SRV | RecordType::A | RecordType::AAAA
            ),
            "{query}"
        );
    }
    response.to_vec().unwrap()
}

fn at(last: u8, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), port)
}

/// What is found of a domain by a server that knows this.
async fn found(zone: Zone, domain: &str, transport: Transport) -> Vec<SocketAddr> {
    let server = DnsServer::start(zone).await;
    locator(server.address)
        .locate(&sought(domain, transport))
        .await
}

fn sought(host: &str, transport: Transport) -> Sought {
    Sought {
        host: host.to_owned(),
        port: None,
        transport,
        transport_from: TransportFrom::Account,
    }
}

#[tokio::test]
async fn the_servers_of_a_domain_are_tried_in_the_order_of_their_priority() {
    let zone = vec![
        (
            "_sips._tcp.example.com.",
            srv(20, 0, 5071, "second.example.com."),
        ),
        (
            "_sips._tcp.example.com.",
            srv(10, 0, 5061, "first.example.com."),
        ),
        (
            "_sip._udp.example.com.",
            srv(1, 0, 5060, "datagrams.example.com."),
        ),
        ("first.example.com.", a(1)),
        ("second.example.com.", a(2)),
        ("datagrams.example.com.", a(3)),
    ];
    let by_tls = found(zone.clone(), "example.com", Transport::Tls).await;
    assert_eq!(by_tls, [at(1, 5061), at(2, 5071)]);
    let by_udp = found(zone, "Example.COM.", Transport::Udp).await;
    assert_eq!(by_udp, [at(3, 5060)]);
}

#[tokio::test]
async fn only_servers_with_an_address_are_tried_and_each_address_once() {
    let table = [
        (
            "a server is gone",
            ["gone", "here"],
            vec![("here.example.com.", a(7))],
            vec![at(7, 5060)],
        ),
        (
            "two names of one server",
            ["one", "two"],
            vec![("one.example.com.", a(7)), ("two.example.com.", a(7))],
            vec![at(7, 5060)],
        ),
        // What has the domain's own name is no SIP server.
        (
            "all are gone",
            ["gone", "lost"],
            vec![("example.com.", a(9))],
            Vec::new(),
        ),
    ];
    for (case, servers, mut zone, expected) in table {
        let targets = servers.map(|server| format!("{server}.example.com."));
        for (priority, target) in (1..).zip(&targets) {
            zone.push(("_sip._tcp.example.com.", srv(priority, 0, 5060, target)));
        }
        assert_eq!(
            found(zone, "example.com", Transport::Tcp).await,
            expected,
            "{case}"
        );
    }
}

#[tokio::test]
async fn servers_are_found_by_ipv6_and_by_both_ip_versions() {
    let at_ipv6 = |last: u16| SocketAddr::from((ipv6(last), 5061));
    for (case, records, mut expected) in [
        ("IPv6 alone", vec![aaaa(7)], vec![at_ipv6(7)]),
        ("both", vec![a(7), aaaa(7)], vec![at(7, 5061), at_ipv6(7)]),
        (
            "several of one",
            vec![aaaa(7), aaaa(8)],
            vec![at_ipv6(7), at_ipv6(8)],
        ),
    ] {
        let service = srv(1, 0, 5061, "server.example.com.");
        let mut zone = vec![("_sips._tcp.example.com.", service)];
        let records = records.into_iter();
        zone.extend(records.map(|record| ("server.example.com.", record)));
        let mut found = found(zone, "example.com", Transport::Tls).await;
        // Which of them this machine reaches is none of the test's business.
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{case}");
    }
}

#[test]
fn what_no_route_leads_to_is_tried_last_and_else_the_order_stays() {
    let (one, two) = (at(1, 5061), at(2, 5061));
    let six = SocketAddr::from((ipv6(6), 5061));
    for (reached, expected) in [
        ([true, true], [six, one, two]),
        ([true, false], [one, two, six]),
        ([false, true], [six, one, two]),
        ([false, false], [six, one, two]),
    ] {
        let [by_ipv4, by_ipv6] = reached;
        let has_route_to = |address: IpAddr| match address {
            IpAddr::V4(_) => by_ipv4,
            IpAddr::V6(_) => by_ipv6,
        };
        let tried = reachable_first(vec![six, one, two], has_route_to);
        assert_eq!(tried, expected, "{reached:?}");
    }
}

#[tokio::test]
async fn services_that_a_domain_keeps_elsewhere_are_found_there() {
    let zone = vec![
        // The domain prefers datagrams; the account's transport is its owner's choice.
        (
            "example.com.",
            naptr(10, 10, "SIP+D2U", "_sip._udp.example.com."),
        ),
        (
            "example.com.",
            naptr(20, 20, "sips+d2t", "_sips._tcp.far.example."),
        ),
        (
            "example.com.",
            naptr(20, 10, "SIPS+D2T", "_sips._tcp.near.example."),
        ),
        ("_sips._tcp.near.example.", srv(1, 0, 5061, "near.example.")),
        ("_sips._tcp.far.example.", srv(1, 0, 5061, "far.example.")),
        (
            "_sips._tcp.example.com.",
            srv(1, 0, 5061, "old.example.com."),
        ),
        (
            "_sip._udp.example.com.",
            srv(1, 0, 5060, "datagrams.example.com."),
        ),
        ("near.example.", a(1)),
        ("far.example.", a(2)),
        ("old.example.com.", a(3)),
        ("datagrams.example.com.", a(4)),
    ];
    let by_tls = found(zone.clone(), "example.com", Transport::Tls).await;
    assert_eq!(by_tls, [at(1, 5061)]);
    let by_udp = found(zone.clone(), "example.com", Transport::Udp).await;
    assert_eq!(by_udp, [at(4, 5060)]);

    // Where the first name leads nowhere, the second does, and then the usual one.
    for (gone, expected) in [
        (&["_sips._tcp.near.example."][..], at(2, 5061)),
        (
            &["_sips._tcp.near.example.", "_sips._tcp.far.example."],
            at(3, 5061),
        ),
    ] {
        let mut zone = zone.clone();
        zone.retain(|(owner, _)| !gone.contains(owner));
        assert_eq!(found(zone, "example.com", Transport::Tls).await, [expected]);
    }
}

#[tokio::test]
async fn an_address_that_names_its_transport_means_the_services_of_its_own_domain() {
    let zone = vec![
        (
            "example.com.",
            naptr(1, 1, "SIPS+D2T", "_sips._tcp.far.example."),
        ),
        ("_sips._tcp.far.example.", srv(1, 0, 5061, "far.example.")),
        (
            "_sips._tcp.example.com.",
            srv(1, 0, 5061, "own.example.com."),
        ),
        ("far.example.", a(2)),
        ("own.example.com.", a(3)),
    ];
    let server = DnsServer::start(zone).await;
    let locator = locator(server.address);
    for (transport_from, expected) in [
        (TransportFrom::Account, at(2, 5061)),
        (TransportFrom::Address, at(3, 5061)),
    ] {
        let sought = Sought {
            transport_from,
            ..sought("example.com", Transport::Tls)
        };
        assert_eq!(locator.locate(&sought).await, [expected]);
    }
    let asked = server.asked.lock().unwrap();
    let rules = asked.iter().filter(|asked| **asked == RecordType::NAPTR);
    assert_eq!(rules.count(), 1, "nor is it asked for in vain");
}

#[tokio::test]
async fn a_rule_that_does_not_lead_to_services_of_the_transport_is_passed_over() {
    let text = |text: &str| text.as_bytes().into();
    let odd = |flags: &str, regexp: &str| {
        let kind = text("SIPS+D2T");
        let target = name("_sips._tcp.odd.example.");
        RData::NAPTR(NAPTR::new(1, 1, text(flags), kind, text(regexp), target))
    };
    for rule in [
        naptr(1, 1, "SIP+D2T", "_sip._tcp.odd.example."),
        naptr(1, 1, "SIPS+D2S", "_sips._sctp.odd.example."),
        naptr(1, 1, "SIPS+D2T", "."),
        odd("", ""),
        odd("u", "!^.*$!sips:room@odd.example!"),
    ] {
        let zone = vec![
            ("example.com.", rule.clone()),
            ("_sips._tcp.odd.example.", srv(1, 0, 5061, "odd.example.")),
            (
                "_sips._tcp.example.com.",
                srv(1, 0, 5061, "usual.example.com."),
            ),
            ("odd.example.", a(9)),
            ("usual.example.com.", a(1)),
        ];
        let found = found(zone, "example.com", Transport::Tls).await;
        assert_eq!(found, [at(1, 5061)], "{rule}");
    }
}

/// Time passes by itself while everybody waits.
#[tokio::test(start_paused = true)]
async fn a_router_that_drops_questions_for_names_holds_nobody_up_where_services_are_known() {
    let services = || Services::Some(Vec::new());
    let after = |time: u64| tokio::time::sleep(std::time::Duration::from_millis(time));
    for (names_after, services_after, answer, took) in [
        (10_000, 20, services(), 320),
        (100, 20, services(), 100),
        (20, 100, services(), 100),
        (2_000, 20, Services::Unknown, 2_000),
    ] {
        let start = Instant::now();
        let names = async {
            after(names_after).await;
            vec!["elsewhere.".to_owned()]
        };
        let found = async {
            after(services_after).await;
            answer
        };
        let names = std::pin::pin!(names);
        super::services::both(names, found).await;
        assert_eq!(
            start.elapsed().as_millis(),
            took,
            "{names_after} {services_after}"
        );
    }
}

#[tokio::test]
async fn a_domain_whose_services_are_refused_elsewhere_has_none() {
    let zone = vec![
        (
            "example.com.",
            naptr(1, 1, "SIPS+D2T", "_sips._tcp.far.example."),
        ),
        ("_sips._tcp.far.example.", srv(0, 0, 0, ".")),
        (
            "_sips._tcp.example.com.",
            srv(1, 0, 5061, "old.example.com."),
        ),
        ("old.example.com.", a(3)),
    ];
    assert_eq!(found(zone, "example.com", Transport::Tls).await, []);
}

#[tokio::test]
async fn a_domain_that_says_it_has_no_such_service_is_not_called_by_its_address() {
    let zone = vec![
        ("_sips._tcp.example.com.", srv(0, 0, 0, ".")),
        ("example.com.", a(9)),
    ];
    assert_eq!(found(zone, "example.com", Transport::Tls).await, []);
}

#[test]
fn services_are_asked_for_by_domain_and_without_a_port() {
    for (host, port, asked) in [
        ("sip.example.org", None, true),
        ("sip.example.org", Some(5061), false),
        ("localhost", None, false),
        ("pbx", None, false),
    ] {
        assert_eq!(has_services(host, port), asked, "{host} {port:?}");
    }
}

#[tokio::test]
async fn names_of_this_machine_need_no_dns_server() {
    let locator = locator(SocketAddr::from(([127, 0, 0, 1], 1)));
    let found = locator.locate(&sought("localhost", Transport::Tls)).await;
    assert!(
        found.contains(&SocketAddr::from(([127, 0, 0, 1], 5061))),
        "{found:?}"
    );
}

/// Time passes by itself while everybody waits.
#[tokio::test(start_paused = true)]
async fn a_dns_server_that_never_answers_counts_as_one_that_knows_no_services() {
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let locator = locator(silent.local_addr().unwrap());
    let services = locator
        .services(&sought("example.com", Transport::Tls))
        .await;
    assert_eq!(services, Services::Unknown);
}

#[test]
fn a_hosts_file_is_read_as_the_system_reads_it() {
    let hosts =
        "127.0.0.1 localhost\n# 10.0.0.1 commented.example\n10.0.0.2\tpbx.example pbx # old\n";
    for (name, listed) in [
        ("pbx.example", true),
        ("PBX.Example", true),
        ("pbx", true),
        ("old", false),
        ("commented.example", false),
        ("10.0.0.2", false),
        ("pbx.example.org", false),
    ] {
        assert_eq!(lists(hosts, name), listed, "{name}");
    }
}

#[test]
fn names_without_a_domain_and_names_of_this_machine_are_known_without_dns() {
    for host in [
        "pbx",
        "localhost",
        "a.localhost",
        "printer.local",
        "LOCALHOST.",
    ] {
        assert!(is_known_without_dns(host), "{host}");
    }
    assert!(!is_known_without_dns("sip.example.org"));
}
