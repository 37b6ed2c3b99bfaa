/* Makes the listening socket of an endpoint. */
#ifndef MFI_HTTP_LISTEN_H
#define MFI_HTTP_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include <multifrost/error.h>

typedef struct mfi_listener {
    int fd;
    uint16_t port;
    bool is_loopback; /* only this host can connect */
} mfi_listener;

/* text: a numeric address. On MF_OK the caller owns the descriptor. Errors as of
 * mf_http_create(). */
mf_status mfi_listen(mfi_listener *ret_listener, const char *text, uint16_t port, mf_error *error);

#endif
