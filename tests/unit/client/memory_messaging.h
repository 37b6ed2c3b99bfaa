/* A transport within one process, that keeps the contract of core/engine/transport.h and knows
 * nothing of libzmq: messages are copied from one list to another. */
#ifndef MEMORY_MESSAGING_H
#define MEMORY_MESSAGING_H

#include "core/transport/transport.h"

mfi_messaging *memory_messaging_create(void);

#endif
