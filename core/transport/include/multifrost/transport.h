/**
 * @file transport.h
 * What carries the messages of parents and children.
 */
#ifndef MULTIFROST_TRANSPORT_H
#define MULTIFROST_TRANSPORT_H

#include <multifrost/export.h>

MF_EXTERN_C_BEGIN

/** What carries the messages. Both speak ZeroMQ's protocol: peers need not have the same. */
typedef enum mf_transport {
    MF_TRANSPORT_DEFAULT = 0, /**< COMLINK_TRANSPORT ("direct" or "libzmq"), else direct. */
    MF_TRANSPORT_LIBZMQ,      /**< The library, with its threads. */
    MF_TRANSPORT_DIRECT       /**< The calling thread uses the sockets itself: faster, smaller. */
} mf_transport;

MF_EXTERN_C_END

#endif
