/* What the tests of records share: a logger without threads and sinks, to encode records with. */
#ifndef RECORD_SUPPORT_H
#define RECORD_SUPPORT_H

#include "logging/logger.h"
#include "mf_test.h"

/* Enough of a logger for records and encoders: service "s", instance "i", role "parent". */
void bare_logger_init(mf_logger *logger);
void bare_logger_fini(mf_logger *logger);

/* A record of 2026-01-01T00:00:00.123456789Z, thread 7, seq 3. */
void fixed_record(mfi_record *record, mf_logger *logger, mf_log_level level, const char *event);

/* One line of either format, for free(). */
char *json_of(mf_logger *logger, const mfi_record *record);
char *human_of(mf_logger *logger, const mfi_record *record);

#endif
