/* Picks the transport of a runtime: the option decides, else the environment, else the default. It
 * exists so that no other file names an implementation. */
#include "core/transport/transport.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"

void mfi_endpoint_write(char to[MFI_ENDPOINT_MAX], const char *address, uint16_t port)
{
    (void)mfi_str_format(to, MFI_ENDPOINT_MAX,
                         strchr(address, ':') != NULL ? "tcp://[%s]:%u" : "tcp://%s:%u", address,
                         (unsigned)port);
}

mf_status mfi_transport_from_environment(mf_transport *ret_transport, mf_error *error)
{
    const char *text = getenv("COMLINK_TRANSPORT"); /* NOLINT: read once, at creation */
    if (text == NULL || text[0] == '\0' || strcmp(text, "direct") == 0) {
        *ret_transport = MF_TRANSPORT_DIRECT;
    } else if (strcmp(text, "libzmq") == 0) {
        *ret_transport = MF_TRANSPORT_LIBZMQ;
    } else {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "COMLINK_TRANSPORT: '%s' is neither libzmq nor direct", text);
    }
    return MF_OK;
}

mf_status mfi_messaging_create(mfi_messaging **ret_messaging, mf_transport transport,
                               mf_error *error)
{
    mf_status status = MF_OK;
    if (transport == MF_TRANSPORT_DEFAULT) {
        status = mfi_transport_from_environment(&transport, error);
    }
    if (status != MF_OK) {
        return status;
    }
    switch (transport) {
    case MF_TRANSPORT_LIBZMQ:
        return mfi_messaging_zmq_create(ret_messaging, error);
    case MF_TRANSPORT_DIRECT:
        return mfi_messaging_direct_create(ret_messaging, error);
    case MF_TRANSPORT_DEFAULT:
        break;
    }
    return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "transport %d is not known", (int)transport);
}
