/* Reads the text of a fixed address. It exists so that parents and children take the same texts,
 * and refuse all others before any socket is opened.
 *
 * Host names are not taken, because the engine thread would wait for a name server, and all
 * connections with it. */
#include "core/discovery/endpoint.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"

#define SCHEME "tcp://"
#define PORT_DIGITS 5

/* The parts of "tcp://address:port": pointers into the text. */
typedef struct parts {
    const char *address;
    size_t size;
    bool has_brackets;
    const char *port;
} parts;

/* NULL, or what is wrong. */
static const char *split(const char *text, parts *ret_parts)
{
    if (strncmp(text, SCHEME, strlen(SCHEME)) != 0) {
        return "it must begin with tcp://";
    }
    const char *begin = text + strlen(SCHEME);
    ret_parts->has_brackets = *begin == '[';
    const char *end = ret_parts->has_brackets ? strchr(begin, ']') : strrchr(begin, ':');
    if (end == NULL && ret_parts->has_brackets) {
        return "a bracket is not closed";
    }
    const char *colon = end != NULL && ret_parts->has_brackets ? end + 1 : end;
    if (colon == NULL || *colon != ':' || colon[1] == '\0') {
        return "the port is missing";
    }
    ret_parts->address = ret_parts->has_brackets ? begin + 1 : begin;
    ret_parts->size = (size_t)(end - ret_parts->address);
    ret_parts->port = colon + 1;
    return NULL;
}

static const char *read_port(const char *text, bool can_be_free, uint16_t *ret_port)
{
    int64_t port = 0;
    size_t digits = strspn(text, "0123456789");
    if (digits > PORT_DIGITS || text[digits] != '\0' ||
        !mfi_parse_int(text, can_be_free ? 0 : 1, UINT16_MAX, &port)) {
        return can_be_free ? "the port must be 0 to 65535" : "the port must be 1 to 65535";
    }
    *ret_port = (uint16_t)port;
    return NULL;
}

static const char *read_address(const parts *from, char to[INET6_ADDRSTRLEN])
{
    struct in6_addr numeric;
    if (from->size == strlen("localhost") && memcmp(from->address, "localhost", from->size) == 0 &&
        !from->has_brackets) {
        (void)mfi_str_copy(to, INET6_ADDRSTRLEN, "127.0.0.1");
        return NULL;
    }
    if (from->size >= INET6_ADDRSTRLEN) {
        return "the address is too long";
    }
    (void)mfi_str_copy_n(to, INET6_ADDRSTRLEN, from->address, from->size);
    if (inet_pton(from->has_brackets ? AF_INET6 : AF_INET, to, &numeric) != 1) {
        return "the address must be numeric (IPv6 in brackets) or localhost";
    }
    return NULL;
}

mf_status mfi_endpoint_read(const char *name, const char *text, bool can_be_free,
                            mfi_endpoint *ret_endpoint, mf_error *error)
{
    char visible[100];
    parts at = {0};
    const char *wrong = split(text, &at);
    if (wrong == NULL) {
        wrong = read_port(at.port, can_be_free, &ret_endpoint->port);
    }
    if (wrong == NULL) {
        wrong = read_address(&at, ret_endpoint->address);
    }
    if (wrong != NULL) {
        (void)mfi_str_copy_visible(visible, sizeof visible, text, strlen(text));
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s '%s': %s", name, visible, wrong);
    }
    return MF_OK;
}

bool mfi_address_is_loopback(const char *address)
{
    struct in_addr four;
    struct in6_addr six;
    if (inet_pton(AF_INET, address, &four) == 1) {
        return ntohl(four.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    return inet_pton(AF_INET6, address, &six) == 1 &&
           (IN6_IS_ADDR_LOOPBACK(&six) ||
            (IN6_IS_ADDR_V4MAPPED(&six) && six.s6_addr[12] == IN_LOOPBACKNET));
}
