/* Binds an address, and says which one if that fails. */
#include "http/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"

typedef union ip_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} ip_address;

static mf_status read_address(const char *text, uint16_t port, ip_address *ret_address,
                              socklen_t *ret_size, mf_error *error)
{
    memset(ret_address, 0, sizeof *ret_address);
    if (inet_pton(AF_INET, text, &ret_address->v4.sin_addr) == 1) {
        ret_address->v4.sin_family = AF_INET;
        ret_address->v4.sin_port = htons(port);
        *ret_size = sizeof ret_address->v4;
        return MF_OK;
    }
    if (inet_pton(AF_INET6, text, &ret_address->v6.sin6_addr) == 1) {
        ret_address->v6.sin6_family = AF_INET6;
        ret_address->v6.sin6_port = htons(port);
        *ret_size = sizeof ret_address->v6;
        return MF_OK;
    }
    return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "bind_address '%.80s' is no IP address", text);
}

static bool is_loopback(const ip_address *address)
{
    const struct in6_addr *v6 = &address->v6.sin6_addr;
    return address->any.sa_family == AF_INET
               ? ntohl(address->v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET
               : IN6_IS_ADDR_LOOPBACK(v6) ||
                     (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == IN_LOOPBACKNET);
}

mf_status mfi_listen(mfi_listener *ret_listener, const char *text, uint16_t port, mf_error *error)
{
    ip_address address;
    socklen_t size = 0;
    int on = 1;
    mf_status status = read_address(text, port, &address, &size, error);
    if (status != MF_OK) {
        return status;
    }
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, &address.any, size) != 0 || listen(fd, 64) != 0 ||
        getsockname(fd, &address.any, &size) != 0) {
        int reason = errno;
        mf_status code = reason == EADDRINUSE                          ? MF_ERR_ADDRESS_IN_USE
                         : reason == EADDRNOTAVAIL || reason == EACCES ? MF_ERR_INVALID_ARGUMENT
                                                                       : MF_ERR_SYSTEM;
        if (fd >= 0) {
            (void)close(fd);
        }
        return mfi_fail_errno(error, code, reason, "cannot serve HTTP on %s port %u", text,
                              (unsigned)port);
    }
    *ret_listener = (mfi_listener){.fd = fd, .is_loopback = is_loopback(&address)};
    ret_listener->port =
        ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
    return MF_OK;
}
