/* Fixed addresses: where a service is, without a registry. */
#ifndef MFI_DISCOVERY_ENDPOINT_H
#define MFI_DISCOVERY_ENDPOINT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include <multifrost/error.h>

typedef struct mfi_endpoint {
    char address[INET6_ADDRSTRLEN]; /* numeric, without brackets */
    uint16_t port;
} mfi_endpoint;

/* Reads "tcp://127.0.0.1:5555", "tcp://[::1]:5555" or "tcp://localhost:5555". name is what the
 * error calls the text. Port 0 is taken only with can_be_free. MF_ERR_INVALID_ARGUMENT. */
mf_status mfi_endpoint_read(const char *name, const char *text, bool can_be_free,
                            mfi_endpoint *ret_endpoint, mf_error *error);
/* True if only this machine reaches that numeric address. */
bool mfi_address_is_loopback(const char *address);

#endif
