/* spdlog's asynchronous logger, whose one thread writes the same line to a file. */
#ifndef BENCH_PEERS_SPDLOG_H
#define BENCH_PEERS_SPDLOG_H

#include <stddef.h>

#include "core/observe/span.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bench_spdlog bench_spdlog;
bench_spdlog *bench_spdlog_make(const char *path, size_t queue);
void bench_spdlog_record(bench_spdlog *log, const mfi_client_span *span);
/* Returns when all records produced so far are written. */
void bench_spdlog_drain(bench_spdlog *log);
void bench_spdlog_end(bench_spdlog *log);

#ifdef __cplusplus
}
#endif

#endif
