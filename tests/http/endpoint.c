/* An endpoint for test_http.py. It exists because the demo serves with default options, and cannot
 * be told to make a slow page, to fail a check, or to end an endpoint and go on.
 *
 * usage: endpoint CONNECTIONS AGE_MS ADDRESS LOG_FILE [HOST_NAME...]
 * Each line on stdin is a command, and is answered by one line. */
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <multifrost/http.h>
#include <multifrost/multifrost.h>

static _Atomic(bool) is_slow, is_failing, is_warning;
static sem_t may_go_on;

static void check(mf_status status, const mf_error *error)
{
    if (status != MF_OK) {
        (void)fprintf(stderr, "endpoint: %s\n", error->message);
        exit(1);
    }
}

static void say(const char *line)
{
    (void)printf("%s\n", line);
    (void)fflush(stdout);
}

/* Runs before each rendering of the metrics. */
static void collect(void *user_data)
{
    (void)user_data;
    if (atomic_load(&is_slow)) {
        say("collecting");
        (void)sem_wait(&may_go_on);
    }
}

static void check_cache(mf_health_result *result, void *user_data)
{
    (void)user_data;
    result->status = atomic_load(&is_failing)   ? MF_HEALTH_FAIL
                     : atomic_load(&is_warning) ? MF_HEALTH_WARN
                                                : MF_HEALTH_PASS;
}

static mf_http *serve(mf_runtime *runtime, const mf_http_options *options)
{
    char line[32];
    mf_http *http = NULL;
    mf_error error = MF_ERROR_INIT;
    check(mf_http_create(&http, mf_runtime_probe(runtime), options, &error), &error);
    (void)snprintf(line, sizeof line, "port %u", (unsigned)mf_http_port(http));
    say(line);
    return http;
}

static bool is_command(const char *line, const char *word)
{
    return strncmp(line, word, strlen(word)) == 0;
}

static void obey(mf_runtime *runtime, mf_http_options *options)
{
    char line[64];
    mf_http *second = NULL;
    mf_http *http = serve(runtime, options);
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (is_command(line, "again")) {
            options->port = mf_http_port(http);
            mf_http_destroy(http);
            http = serve(runtime, options);
        } else if (is_command(line, "second")) {
            options->port = MF_HTTP_PORT_ANY;
            second = serve(runtime, options);
        } else if (is_command(line, "probes")) {
            options->port = MF_HTTP_PORT_ANY;
            options->probes_only = true;
            options->warn_code = 429;
            second = serve(runtime, options);
        } else {
            bool is_release = is_command(line, "fast");
            atomic_store(&is_failing, is_command(line, "fail"));
            atomic_store(&is_warning, is_command(line, "warn"));
            atomic_store(&is_slow, is_command(line, "slow"));
            say("done");
            if (is_release) {
                (void)sem_post(&may_go_on);
            }
        }
    }
    mf_http_destroy(second);
    mf_http_destroy(http);
}

static void add_checks(mf_runtime *runtime)
{
    mf_error error = MF_ERROR_INIT;
    mf_health_check cache = MF_HEALTH_CHECK_INIT;
    cache.component = "cache";
    cache.gates = MF_GATE_READY;
    cache.check = check_cache;
    check(mf_runtime_add_health_check(runtime, &cache, &error), &error);
    check(mf_metrics_add_collector(mf_runtime_metrics(runtime), collect, NULL, &error), &error);
}

int main(int argc, char **argv)
{
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = NULL;
    mf_runtime_options with = MF_RUNTIME_OPTIONS_INIT;
    mf_http_options options = MF_HTTP_OPTIONS_INIT;
    if (argc < 5) {
        return 2;
    }
    options.port = MF_HTTP_PORT_ANY;
    options.max_connections = (uint32_t)atoi(argv[1]);
    options.connection_age_ms = atoi(argv[2]);
    options.bind_address = argv[3];
    options.host_names = (const char *const *)argv + 5; /* argv ends with NULL */
    options.health_interval_ms = 10;
    with.log_file = argv[4];
    (void)sem_init(&may_go_on, 0, 0);
    check(mf_runtime_create(&runtime, &with, &error), &error);
    add_checks(runtime);
    obey(runtime, &options);
    mf_runtime_destroy(runtime);
    return 0;
}
