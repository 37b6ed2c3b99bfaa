/* Sampling, by a clock that the test turns: which records are kept, and how a logger reports the
 * others. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "logging/logger.h"
#include "mf_test.h"

#define THREADS 4
#define OF_EACH 20000

/* Which of the next records are kept, as "1" and "0". */
static const char *taken(mfi_sampler *sampler, uint64_t key, uint64_t now_ns, size_t count)
{
    static char seen[64];
    for (size_t i = 0; i < count; i++) {
        seen[i] = mfi_sampler_takes(sampler, key, now_ns) ? '1' : '0';
    }
    seen[count] = '\0';
    return seen;
}

static void test_first_and_each_mth(void)
{
    mfi_sampler *sampler = mfi_sampler_create(2, 3);
    uint64_t now = 100 * MFI_NS_PER_S;
    mf_check_str(taken(sampler, 10, now, 12), "110010010010");
    mf_check_str(taken(sampler, 20, now, 3), "110"); /* of another kind */
    mf_check_str(taken(sampler, 10, now + MFI_NS_PER_S - 1, 3), "010");
    mf_check_str(taken(sampler, 10, now + MFI_NS_PER_S, 3), "110");
    mf_check_str(taken(sampler, 10, now, 3), "010"); /* late: counts in the present second */
    mf_check_int(mfi_sampler_left_out(sampler), 7 + 1 + 2 + 1 + 2);
    mfi_sampler_destroy(sampler);
}

static void test_none_after_the_first(void)
{
    mfi_sampler *sampler = mfi_sampler_create(1, 0);
    mf_check_str(taken(sampler, 10, MFI_NS_PER_S, 5), "10000");
    mf_check_str(taken(sampler, 10, 2 * MFI_NS_PER_S, 5), "10000");
    mfi_sampler_destroy(sampler);
}

/* More kinds than cells: they share some, and each second still keeps something. */
static void test_full_table(void)
{
    mfi_sampler *sampler = mfi_sampler_create(1, 0);
    unsigned kept = 0;
    for (uint64_t key = 1; key <= 4000; key++) {
        kept += mfi_sampler_takes(sampler, key << 8, MFI_NS_PER_S);
    }
    mf_check(kept >= 400 && kept < 4000);
    mf_check_int(mfi_sampler_left_out(sampler), 4000 - kept);
    mfi_sampler_destroy(sampler);
}

typedef struct producer {
    mfi_sampler *sampler;
    uint64_t kept;
} producer;

static void *take_many(void *data)
{
    producer *own = data;
    for (uint64_t i = 0; i < OF_EACH; i++) { /* ten seconds by their clock */
        own->kept += mfi_sampler_takes(own->sampler, 10, i * 10 / OF_EACH * MFI_NS_PER_S);
    }
    return NULL;
}

static void test_many_threads(void)
{
    producer all[THREADS];
    pthread_t threads[THREADS];
    uint64_t kept = 0;
    mfi_sampler *sampler = mfi_sampler_create(7, 0);
    for (int i = 0; i < THREADS; i++) {
        all[i] = (producer){.sampler = sampler};
        mf_check_int(pthread_create(&threads[i], NULL, take_many, &all[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        mf_check_int(pthread_join(threads[i], NULL), 0);
        kept += all[i].kept;
    }
    mf_check_int(kept, 7 * 10); /* none too many, whoever began a second */
    mf_check_int(mfi_sampler_left_out(sampler), THREADS * OF_EACH - kept);
    mfi_sampler_destroy(sampler);
}

/* ---- In a logger ---- */

typedef struct seen_lines {
    uint64_t lines, warnings, last_seq, wrong_seq;
    _Atomic(uint64_t) told; /* by summaries */
} seen_lines;

static void look_at_line(mf_log_level level, const char *line, size_t length, void *user_data)
{
    seen_lines *seen = user_data;
    const char *seq = strstr(line, "\"seq\":");
    const char *count = strstr(line, "\"reason\":\"sampled\",\"count\":");
    (void)length;
    uint64_t number = seq != NULL ? strtoull(seq + strlen("\"seq\":"), NULL, 10) : 0;
    seen->wrong_seq += number != seen->last_seq + 1;
    seen->last_seq = number;
    if (count != NULL) {
        mf_check(level == MF_LOG_INFO);
        atomic_fetch_add(&seen->told, strtoull(strrchr(count, ':') + 1, NULL, 10));
    } else {
        seen->lines++;
        seen->warnings += level >= MF_LOG_WARN;
    }
}

static mf_logger *make(seen_lines *seen, uint64_t summary_ns)
{
    mf_logger *logger = NULL;
    mf_log_options options = MF_LOG_OPTIONS_INIT;
    options.level = MF_LOG_DEBUG;
    options.log_sample_first = 1;
    mf_check_int(mf_logger_create(&logger, &options, NULL), MF_OK);
    logger->summary_period_ns = summary_ns;
    mf_check_int(mf_log_add_callback(logger, look_at_line, seen, MF_LOG_JSON, NULL), MF_OK);
    return logger;
}

static void test_logger_samples_and_sums_up(void)
{
    seen_lines seen = {.lines = 0};
    mf_log_stats stats = MF_LOG_STATS_INIT;
    mf_logger *logger = make(&seen, 3600 * MFI_NS_PER_S);
    for (int i = 0; i < 1000; i++) {
        mf_log_event(logger, MF_LOG_WARN, "disk.slow", "kept", NULL, 0);
    }
    mf_log_stats_read(logger, &stats);
    mf_check_int(stats.dropped_sampled, 0);
    for (int i = 0; i < 1000; i++) {
        mf_log_event(logger, MF_LOG_INFO, "cache.miss", "too many", NULL, 0);
    }
    mf_log_stats_read(logger, &stats);
    mf_check(stats.dropped_sampled > 900 && stats.dropped_sampled < 1000);
    mf_logger_destroy(logger); /* tells of the rest */
    mf_check_int(seen.warnings, 1000);
    mf_check_int(atomic_load(&seen.told), stats.dropped_sampled);
    mf_check_int(seen.lines + stats.dropped_sampled, 2000);
    mf_check_int(seen.wrong_seq, 0);
}

static bool was_told(void *data)
{
    return atomic_load(&((seen_lines *)data)->told) > 0;
}

/* Nothing that is left out wakes the writer: it does so for the summary. */
static void test_summary_comes_by_itself(void)
{
    seen_lines seen = {.lines = 0};
    mf_logger *logger = make(&seen, 50 * MFI_NS_PER_MS);
    for (int i = 0; i < 100; i++) {
        mf_log_event(logger, MF_LOG_DEBUG, "cache.miss", "left out", NULL, 0);
    }
    mf_check(mf_test_until(was_told, &seen, MF_TEST_PATIENCE_MS));
    mf_logger_destroy(logger);
    mf_check_int(seen.lines + atomic_load(&seen.told), 100);
    mf_check_int(seen.wrong_seq, 0);
}

static void check_refused(int32_t first, int32_t thereafter)
{
    mf_logger *logger = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_log_options options = MF_LOG_OPTIONS_INIT;
    options.log_sample_first = first;
    options.log_sample_thereafter = thereafter;
    mf_check_int(mf_logger_create(&logger, &options, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "log_sample_");
}

static void test_bad_options_are_named(void)
{
    check_refused(-1, 0);
    check_refused(1, -1);
    check_refused(0, 100);
}

static const mf_test tests[] = {
    {"sampling__keeps_the_first_and_each_mth", test_first_and_each_mth},
    {"sampling__keeps_none_after_the_first", test_none_after_the_first},
    {"sampling__goes_on_with_a_full_table", test_full_table},
    {"sampling__is_exact_among_threads", test_many_threads},
    {"sampling__logger_keeps_warnings_and_sums_up", test_logger_samples_and_sums_up},
    {"sampling__summary_comes_by_itself", test_summary_comes_by_itself},
    {"sampling__bad_options_are_named", test_bad_options_are_named},
};

MF_TEST_MAIN(tests)
