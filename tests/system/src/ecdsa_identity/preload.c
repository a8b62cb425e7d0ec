/* Takes the place of what libre does when baresip wants a certificate for DTLS-SRTP: it would make one with
 * an RSA key, which no WebRTC endpoint takes for granted. The file named in the environment has an ECDSA one. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct tls;
int tls_set_certificate_pem(struct tls *tls, const char *cert, size_t len_cert, const char *key, size_t len_key);

int tls_set_selfsigned_rsa(struct tls *tls, const char *cn, size_t bits)
{
	static char pem[8192];
	const char *path = getenv("DTLS_IDENTITY");
	FILE *file = path ? fopen(path, "r") : NULL;
	size_t length;

	(void)cn;
	(void)bits;
	if (!file)
		return ENOENT;
	length = fread(pem, 1, sizeof(pem), file);
	fclose(file);
	return tls_set_certificate_pem(tls, pem, length, pem, length);
}
