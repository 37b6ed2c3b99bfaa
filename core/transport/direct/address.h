/* The address that a direct transport binds or connects to: IPv4 or IPv6. */
#ifndef MFI_TRANSPORT_DIRECT_ADDRESS_H
#define MFI_TRANSPORT_DIRECT_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

typedef union mfi_direct_address {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
} mfi_direct_address;

/* False if the text is no numeric address. */
bool mfi_direct_address_read(mfi_direct_address *to, const char *text, uint16_t port);
socklen_t mfi_direct_address_size(const mfi_direct_address *address);
uint16_t mfi_direct_address_port(const mfi_direct_address *address);
/* Address and port. */
bool mfi_direct_address_equals(const mfi_direct_address *a, const mfi_direct_address *b);
/* A socket for such an address, non-blocking; -1 on failure. A listener at [::] takes connections
 * of IPv4 too, as libzmq's does. */
int mfi_direct_address_socket(const mfi_direct_address *address);

#endif
