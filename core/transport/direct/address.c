/* The address of a direct transport. It exists so that the table of connections need not know that
 * there are two families of addresses. */
#include "core/transport/direct/address.h"

#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

bool mfi_direct_address_read(mfi_direct_address *to, const char *text, uint16_t port)
{
    memset(to, 0, sizeof *to);
    if (inet_pton(AF_INET, text, &to->four.sin_addr) == 1) {
        to->four.sin_family = AF_INET;
        to->four.sin_port = htons(port);
        return true;
    }
    to->six.sin6_family = AF_INET6;
    to->six.sin6_port = htons(port);
    return inet_pton(AF_INET6, text, &to->six.sin6_addr) == 1;
}

static bool is_six(const mfi_direct_address *address)
{
    return address->any.sa_family == AF_INET6;
}

socklen_t mfi_direct_address_size(const mfi_direct_address *address)
{
    return is_six(address) ? sizeof address->six : sizeof address->four;
}

uint16_t mfi_direct_address_port(const mfi_direct_address *address)
{
    return ntohs(is_six(address) ? address->six.sin6_port : address->four.sin_port);
}

bool mfi_direct_address_equals(const mfi_direct_address *a, const mfi_direct_address *b)
{
    if (a->any.sa_family != b->any.sa_family ||
        mfi_direct_address_port(a) != mfi_direct_address_port(b)) {
        return false;
    }
    return is_six(a) ? memcmp(&a->six.sin6_addr, &b->six.sin6_addr, sizeof a->six.sin6_addr) == 0
                     : a->four.sin_addr.s_addr == b->four.sin_addr.s_addr;
}

int mfi_direct_address_socket(const mfi_direct_address *address)
{
    static const int no = 0;
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && is_six(address) &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}
