/* A channel without a socket: pushed messages stay in its queue until the test reads them. */
#ifndef TEST_CHANNEL_H
#define TEST_CHANNEL_H

#include "core/runtime/runtime.h"
#include "core/server/message.h"
#include "mf_test.h"

typedef struct test_channel {
    mf_runtime *runtime;
    mfi_channel channel;
} test_channel;

void channel_open(test_channel *at);
void channel_close(test_channel *at);
/* The metrics contain this text. */
void channel_check_metrics(const test_channel *at, const char *wanted);

/* A route that says a number. */
mfi_route route_of(uint32_t number);

#endif
