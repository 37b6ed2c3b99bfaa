/* The worker that fragments call. The test inserts the handlers of the page between these lines and
 * registers each under its own name. */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <multifrost/multifrost.h>

static mf_status add(mf_request *request, mf_reply *reply, void *user_data)
{
    int64_t a = 0;
    int64_t b = 0;
    (void)user_data;
    if (mf_request_unpack(request, &a, &b) != MF_OK) {
        return MF_ERR_TYPE;
    }
    return mf_reply_value(reply, a + b);
}

static mf_status echo(mf_request *request, mf_reply *reply, void *user_data)
{
    mf_args args = mf_request_args(request);
    (void)user_data;
    return args.count == 1 ? mf_reply_set(reply, args.items[0]) : MF_ERR_TYPE;
}

/* Answers when it is killed, that is, never. */
static mf_status hang(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)request;
    (void)user_data;
    (void)pause();
    return mf_reply_value(reply, 0);
}

static mf_status crash(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)request;
    (void)user_data;
    (void)raise(SIGKILL);
    return mf_reply_value(reply, 0);
}

#include "handlers.inc"

int main(void)
{
    static const struct {
        const char *name;
        mf_handler_fn run;
    } all[] = {{"add", add}, {"echo", echo}, {"hang", hang}, {"crash", crash}, HANDLERS};
    mf_child *child = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_status status = mf_child_create(&child, NULL, &error);
    for (size_t i = 0; status == MF_OK && i < sizeof all / sizeof all[0]; i++) {
        status = mf_child_handle(child, all[i].name, all[i].run, NULL);
    }
    if (status == MF_OK) {
        status = mf_child_run(child, &error);
    }
    if (status != MF_OK) {
        fprintf(stderr, "%s\n", mf_error_text(&error));
    }
    mf_child_destroy(child);
    return status == MF_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
