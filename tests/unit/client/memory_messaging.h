/* A transport within one process that keeps the contract of core/transport/transport.h without
 * sockets: a send copies the message into the list of the other end. */
#ifndef MEMORY_MESSAGING_H
#define MEMORY_MESSAGING_H

#include "core/transport/transport.h"

mfi_messaging *memory_messaging_create(void);

#endif
