/* A worker with a fixed set of functions, so that peers in any language can test their calls
 * against the library. */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <multifrost/multifrost.h>

static mf_status add(mf_request *request, mf_reply *reply, void *user_data)
{
    int64_t a, b, sum;
    (void)user_data;
    if (mf_request_unpack(request, &a, &b) != MF_OK) {
        return MF_ERR_TYPE;
    }
    if (__builtin_add_overflow(a, b, &sum)) {
        return mf_reply_error(reply, "OverflowError", "the sum does not fit 64 bits");
    }
    return mf_reply_value(reply, sum);
}

static mf_status multiply(mf_request *request, mf_reply *reply, void *user_data)
{
    int64_t a, b, product;
    (void)user_data;
    if (mf_request_unpack(request, &a, &b) != MF_OK) {
        return MF_ERR_TYPE;
    }
    if (__builtin_mul_overflow(a, b, &product)) {
        return mf_reply_error(reply, "OverflowError", "the product does not fit 64 bits");
    }
    return mf_reply_value(reply, product);
}

static mf_status factorial(mf_request *request, mf_reply *reply, void *user_data)
{
    int64_t n, product = 1;
    (void)user_data;
    if (mf_request_unpack(request, &n) != MF_OK) {
        return MF_ERR_TYPE;
    }
    if (n < 0) {
        return mf_reply_error(reply, "ValueError", "factorial of a negative number");
    }
    for (int64_t i = 2; i <= n; i++) {
        if (__builtin_mul_overflow(product, i, &product)) {
            return mf_reply_error(reply, "OverflowError", "the factorial does not fit 64 bits");
        }
    }
    return mf_reply_value(reply, product);
}

static mf_status fibonacci(mf_request *request, mf_reply *reply, void *user_data)
{
    int64_t n, a = 0, b = 1;
    (void)user_data;
    if (mf_request_unpack(request, &n) != MF_OK) {
        return MF_ERR_TYPE;
    }
    if (n < 0 || n > 92) {
        return mf_reply_error(reply, "ValueError", "fibonacci takes 0 to 92");
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t next = i < 91 ? a + b : 0;
        a = b;
        b = next;
    }
    return mf_reply_value(reply, a);
}

static mf_status greet(mf_request *request, mf_reply *reply, void *user_data)
{
    const char *name;
    char text[512];
    (void)user_data;
    if (mf_request_unpack(request, &name) != MF_OK) {
        return MF_ERR_TYPE;
    }
    int length = snprintf(text, sizeof text, "Hello, %s!", name);
    if (length < 0 || (size_t)length >= sizeof text) {
        return mf_reply_error(reply, "ValueError", "the name is too long");
    }
    return mf_reply_value(reply, (const char *)text);
}

static mf_status divide(mf_request *request, mf_reply *reply, void *user_data)
{
    double a, b;
    (void)user_data;
    if (mf_request_unpack(request, &a, &b) != MF_OK) {
        return MF_ERR_TYPE;
    }
    if (fpclassify(b) == FP_ZERO) {
        return mf_reply_error(reply, "ZeroDivisionError", "division by zero");
    }
    return mf_reply_value(reply, a / b);
}

static mf_status echo(mf_request *request, mf_reply *reply, void *user_data)
{
    mf_value value;
    (void)user_data;
    if (mf_request_unpack(request, &value) != MF_OK) {
        return MF_ERR_TYPE;
    }
    return mf_reply_set(reply, value);
}

static mf_status sleep_ms(mf_request *request, mf_reply *reply, void *user_data)
{
    int64_t ms;
    (void)user_data;
    if (mf_request_unpack(request, &ms) != MF_OK) {
        return MF_ERR_TYPE;
    }
    if (ms < 0 || ms > 600000) {
        return mf_reply_error(reply, "ValueError", "sleep_ms takes 0 to 600000");
    }
    (void)poll(NULL, 0, (int)ms);
    return mf_reply_value(reply, ms);
}

static mf_status metadata(mf_request *request, mf_reply *reply, void *user_data)
{
    const mf_value *given = mf_request_metadata(request);
    (void)user_data;
    return mf_reply_set(reply, given->type == MF_TYPE_MAP ? *given : mf_map(NULL, 0));
}

static mf_status print_lines(mf_request *request, mf_reply *reply, void *user_data)
{
    int64_t count;
    (void)user_data;
    if (mf_request_unpack(request, &count) != MF_OK) {
        return MF_ERR_TYPE;
    }
    for (int64_t i = 0; i < count; i++) {
        printf(
            "line %lld of a worker that talks a lot, and more than its parent may want to hear\n",
            (long long)i);
    }
    return mf_reply_value(reply, count);
}

/* The diagnosis of a program that aborts, as assert() and sanitizers print it. The last line has no
 * end. */
static mf_status last_words(mf_request *request, mf_reply *reply, void *user_data)
{
    int64_t count;
    (void)user_data;
    (void)reply;
    if (mf_request_unpack(request, &count) != MF_OK) {
        return MF_ERR_TYPE;
    }
    for (int64_t i = 0; i < count; i++) {
        fprintf(stderr, "%slast words %lld of %lld", i > 0 ? "\n" : "", (long long)i + 1,
                (long long)count);
    }
    abort();
}

/* How many of the variables that a parent sets for its worker a program would inherit. */
static mf_status inherited(mf_request *request, mf_reply *reply, void *user_data)
{
    static const char *const names[] = {"COMLINK_ZMQ_PORT", "COMLINK_WORKER_MODE",
                                        "COMLINK_WORKER_NAME", "COMLINK_OUTPUT_PIPES"};
    int64_t count = 0;
    (void)request;
    (void)user_data;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        count += getenv(names[i]) != NULL; /* NOLINT: nothing changes the environment */
    }
    return mf_reply_value(reply, count);
}

static mf_status environment(mf_request *request, mf_reply *reply, void *user_data)
{
    const char *name;
    (void)user_data;
    if (mf_request_unpack(request, &name) != MF_OK) {
        return MF_ERR_TYPE;
    }
    const char *value = getenv(name); /* NOLINT: nothing changes the environment */
    return mf_reply_value(reply, value != NULL ? value : "(unset)");
}

static void read_arguments(int argc, char **argv, mf_child_options *options)
{
    for (int i = 1; i < argc; i++) {
        options->forward_output = options->forward_output || strcmp(argv[i], "--forward") == 0;
    }
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], "--service") == 0) {
            options->service_id = argv[i + 1];
        } else if (strcmp(argv[i], "--namespace") == 0) {
            options->namespace_name = argv[i + 1];
        }
    }
}

int main(int argc, char **argv)
{
    mf_child *child = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    read_arguments(argc, argv, &options);
    mf_status status = mf_child_create(&child, &options, &error);
    if (status == MF_OK) {
        mf_child_handle(child, "add", add, NULL);
        mf_child_handle(child, "multiply", multiply, NULL);
        mf_child_handle(child, "factorial", factorial, NULL);
        mf_child_handle(child, "fibonacci", fibonacci, NULL);
        mf_child_handle(child, "greet", greet, NULL);
        mf_child_handle(child, "divide", divide, NULL);
        mf_child_handle(child, "echo", echo, NULL);
        mf_child_handle(child, "sleep_ms", sleep_ms, NULL);
        mf_child_handle(child, "metadata", metadata, NULL);
        mf_child_handle(child, "print_lines", print_lines, NULL);
        mf_child_handle(child, "last_words", last_words, NULL);
        mf_child_handle(child, "inherited", inherited, NULL);
        mf_child_handle(child, "environment", environment, NULL);
        mf_child_handle(child, "_secret", add, NULL);
        status = mf_child_run(child, &error);
    }
    if (status != MF_OK) {
        fprintf(stderr, "%s\n", mf_error_text(&error));
    }
    mf_child_destroy(child);
    return status == MF_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
