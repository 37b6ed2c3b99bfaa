/**
 * @file transport.h
 * The implementations that carry the messages of parents and children.
 */
#ifndef MULTIFROST_TRANSPORT_H
#define MULTIFROST_TRANSPORT_H

#include <multifrost/export.h>

MF_EXTERN_C_BEGIN

/** The implementation. Both speak ZeroMQ's protocol, so two peers may use different ones. */
typedef enum mf_transport {
    MF_TRANSPORT_DEFAULT = 0, /**< COMLINK_TRANSPORT ("direct" or "libzmq"), else direct. */
    MF_TRANSPORT_LIBZMQ,      /**< The library libzmq, with its threads. Does not bound the number
                                   of connections: silent ones can take all descriptors. */
    MF_TRANSPORT_DIRECT       /**< The calling thread reads and writes the sockets; faster. */
} mf_transport;

MF_EXTERN_C_END

#endif
