/* Lets a test call any peer: reads commands from stdin, writes answers to stdout.
 *
 *     call TAG FUNCTION NAMESPACE TIMEOUT_MS HEX  ->  ok TAG HEX | err TAG KIND HEX
 *     rtt                                         ->  rtt MILLISECONDS | rtt none
 *     stats                       ->  stats STATE RESTARTS CIRCUIT TRIPS frozen|- HEX
 *     quit
 *
 * With --output it also writes what the worker prints ("output stdout|stderr HEX"); with --restart
 * it restarts a worker that has ended; with --patient a worker has 10 minutes to stop. --heartbeat
 * MS is the interval and the timeout of heartbeats, --start MS the timeout of a start. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <multifrost/multifrost.h>

typedef struct waiting {
    char tag[64];
} waiting;

static pthread_mutex_t output = PTHREAD_MUTEX_INITIALIZER;

static void print_hex(const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < size; i++) {
        printf("%02x", at[i]);
    }
    if (size == 0) {
        printf("-");
    }
}

static void print_result(const char *tag, mf_result *result)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    mf_error error = MF_ERROR_INIT;
    mf_status status = mf_value_encode(mf_result_value(result), &bytes, &size, &error);
    pthread_mutex_lock(&output);
    if (status == MF_OK) {
        printf("ok %s ", tag);
        print_hex(bytes, size);
    } else {
        printf("err %s other ", tag);
        print_hex(error.message, strlen(error.message));
    }
    printf("\n");
    fflush(stdout);
    pthread_mutex_unlock(&output);
    free(bytes);
}

static void print_error(const char *tag, mf_status status, const mf_error *error)
{
    const char *text = mf_error_text(error);
    pthread_mutex_lock(&output);
    printf("err %s %s ", tag, mf_err_kind(status));
    print_hex(text, strlen(text));
    printf("\n");
    fflush(stdout);
    pthread_mutex_unlock(&output);
}

static void on_end(mf_status status, mf_result *result, const mf_error *error, void *user_data)
{
    waiting *call = user_data;
    if (status == MF_OK) {
        print_result(call->tag, result);
    } else {
        print_error(call->tag, status, error);
    }
    mf_result_destroy(result);
    free(call);
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

/* Bytes of a hex text, for free(); NULL if it is none. */
static unsigned char *read_hex(const char *text, size_t *ret_size)
{
    size_t length = strlen(text);
    unsigned char *bytes = length % 2 == 0 ? malloc(length / 2 + 1) : NULL;
    for (size_t i = 0; bytes != NULL && i < length / 2; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            free(bytes);
            return NULL;
        }
        bytes[i] = (unsigned char)(high * 16 + low);
    }
    *ret_size = length / 2;
    return bytes;
}

static void make_call(mf_parent *parent, char *words)
{
    char *rest = NULL;
    const char *tag = strtok_r(words, " ", &rest);
    const char *function = strtok_r(NULL, " ", &rest);
    const char *namespace_name = strtok_r(NULL, " ", &rest);
    const char *timeout = strtok_r(NULL, " ", &rest);
    const char *hex = strtok_r(NULL, " ", &rest);
    size_t size = 0;
    mf_document *arguments = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    unsigned char *bytes = hex != NULL ? read_hex(hex, &size) : NULL;
    waiting *call = calloc(1, sizeof *call);
    if (bytes == NULL || call == NULL) {
        fprintf(stderr, "malformed call\n");
        exit(EXIT_FAILURE);
    }
    (void)snprintf(call->tag, sizeof call->tag, "%s", tag);
    options.namespace_name = namespace_name;
    options.timeout_ms = strtoll(timeout, NULL, 10);
    if (options.timeout_ms == 0) {
        options.timeout_ms = MF_TIMEOUT_INFINITE;
    }
    mf_status status = mf_document_decode(bytes, size, &arguments, &error);
    if (status == MF_OK) {
        const mf_value *root = mf_document_root(arguments);
        mf_args args = {root->as.items, root->length};
        status = root->type == MF_TYPE_ARRAY
                     ? mf_call_async(parent, function, args, &options, on_end, call, &error)
                     : MF_ERR_TYPE;
    }
    if (status != MF_OK) {
        print_error(call->tag, status, &error);
        free(call);
    }
    mf_document_destroy(arguments);
    free(bytes);
}

static void print_rtt(mf_parent *parent)
{
    uint64_t rtt_ns = 0;
    mf_status status = mf_parent_heartbeat(parent, 0, &rtt_ns, NULL);
    pthread_mutex_lock(&output);
    if (status == MF_OK) {
        printf("rtt %.6f\n", (double)rtt_ns / 1e6);
    } else {
        printf("rtt none\n");
    }
    fflush(stdout);
    pthread_mutex_unlock(&output);
}

static void print_stats(mf_parent *parent)
{
    static const char *const states[] = {"created", "starting", "ready",     "stopping",
                                         "stopped", "failed",   "restarting"};
    char last_exit[256] = "";
    mf_parent_stats stats = MF_PARENT_STATS_INIT;
    mf_status status = mf_parent_read_stats(parent, &stats, NULL);
    (void)mf_parent_last_exit(parent, last_exit, sizeof last_exit);
    if (status == MF_OK) {
        pthread_mutex_lock(&output);
        printf("stats %s %llu %s %llu %s ", states[mf_parent_get_state(parent)],
               (unsigned long long)stats.restarts, mf_parent_circuit_state(parent),
               (unsigned long long)stats.circuit_trips, stats.frozen ? "frozen" : "-");
        print_hex(last_exit, strlen(last_exit));
        printf("\n");
        fflush(stdout);
        pthread_mutex_unlock(&output);
    }
}

static void serve(mf_parent *parent)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length = 0;
    while ((length = getline(&line, &capacity, stdin)) > 0) {
        line[strcspn(line, "\r\n")] = '\0';
        if (strncmp(line, "call ", 5) == 0) {
            make_call(parent, line + 5);
        } else if (strcmp(line, "rtt") == 0) {
            print_rtt(parent);
        } else if (strcmp(line, "stats") == 0) {
            print_stats(parent);
        } else if (strcmp(line, "quit") == 0) {
            break;
        }
    }
    free(line);
}

static void on_output(const char *line, size_t length, bool is_stderr, void *user_data)
{
    (void)user_data;
    pthread_mutex_lock(&output);
    printf("output %s ", is_stderr ? "stderr" : "stdout");
    print_hex(line, length);
    printf("\n");
    fflush(stdout);
    pthread_mutex_unlock(&output);
}

/* What the arguments ask for. False if they make no sense. */
static bool read_arguments(int argc, char **argv, mf_parent_options *options, const char **args)
{
    int at = 0;
    if (argc >= 3 && strcmp(argv[1], "connect") == 0) {
        options->service_id = argv[2];
        at = 3;
    } else if (argc >= 4 && strcmp(argv[1], "spawn") == 0) {
        options->program = argv[2];
        options->args = args;
        args[0] = argv[3];
        at = 4;
    } else {
        return false;
    }
    for (; at < argc; at++) {
        if (strcmp(argv[at], "--output") == 0) {
            options->on_output = on_output;
        } else if (strcmp(argv[at], "--restart") == 0) {
            options->auto_restart = true;
        } else if (strcmp(argv[at], "--patient") == 0) {
            options->stop_timeout_ms = 600000;
        } else if (strcmp(argv[at], "--heartbeat") == 0 && at + 1 < argc) {
            options->heartbeat_interval_ms = strtoll(argv[++at], NULL, 10);
            options->heartbeat_timeout_ms = options->heartbeat_interval_ms;
        } else if (strcmp(argv[at], "--start") == 0 && at + 1 < argc) {
            options->start_timeout_ms = strtoll(argv[++at], NULL, 10);
        } else {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    mf_parent *parent = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    const char *args[] = {NULL, NULL};
    /* A heartbeat may wait behind a thousand calls of a worker that runs one at a time on a busy
     * core. */
    options.heartbeat_timeout_ms = 60000;
    if (!read_arguments(argc, argv, &options, args)) {
        fprintf(
            stderr,
            "usage: conformance_parent spawn EXECUTABLE SCRIPT [--output] [--restart] [--patient]\n"
            "       conformance_parent connect SERVICE_ID [--output] [--patient]\n"
            "       both: [--heartbeat MS] [--start MS]\n");
        return 2;
    }
    mf_status status = mf_parent_create(&parent, &options, &error);
    if (status == MF_OK) {
        status = mf_parent_start(parent, &error);
    }
    if (status == MF_OK) {
        printf("ready\n");
        fflush(stdout);
        serve(parent);
    } else {
        fprintf(stderr, "%s\n", mf_error_text(&error));
    }
    mf_parent_destroy(parent);
    return status == MF_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
