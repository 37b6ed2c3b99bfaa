/* The program around a fragment of a page. The fragment gets a parent that has started the page's
 * worker. If the fragment sets `options`, a parent is then made from them, and must work. */
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <multifrost/multifrost.h>

#include "functions.inc"

static mf_status start(mf_parent **parent, const mf_parent_options *options, mf_error *error)
{
    mf_status status = mf_parent_create(parent, options, error);
    return status == MF_OK ? mf_parent_start(*parent, error) : status;
}

#ifdef FILLS_OPTIONS
static void fill(mf_parent_options *all)
{
#define options (*all)
#include "fragment.inc"
#undef options
}

static mf_status run(mf_runtime *runtime, mf_parent_options *options, mf_error *error)
{
    mf_parent *parent = NULL;
    mf_result *sum = NULL;
    (void)runtime;
    fill(options);
    mf_status status = start(&parent, options, error);
    if (status == MF_OK) {
        status = mf_call(parent, "add", MF_ARGS(1, 2), &sum, error);
    }
    if (status == MF_OK && mf_result_int(sum) != 3) {
        status = MF_ERR_INTERNAL;
    }
    mf_result_destroy(sum);
    mf_parent_destroy(parent);
    return status;
}
#else
static void fragment(mf_runtime *runtime, mf_parent *parent, const char *worker)
{
    mf_error error = MF_ERROR_INIT;
    mf_status status = MF_OK;
    (void)runtime;
    (void)parent;
    (void)worker;
#include "fragment.inc"
    if (status != MF_OK) {
        fprintf(stderr, "%s\n",
                mf_error_text(&error)); /* shown if the output is not as it should be */
    }
}

static mf_status run(mf_runtime *runtime, mf_parent_options *options, mf_error *error)
{
    mf_parent *parent = NULL;
    mf_status status = start(&parent, options, error);
    if (status == MF_OK) {
        fragment(runtime, parent, options->program);
    }
    mf_parent_destroy(parent);
    return status;
}
#endif

int main(int argc, char **argv)
{
    mf_runtime *runtime = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    mf_status status = argc == 2 ? mf_runtime_create(&runtime, NULL, &error) : MF_ERR_STATE;
    if (status == MF_OK) {
        options.program = argv[1];
        options.target = "math";
        options.runtime = runtime;
        status = run(runtime, &options, &error);
    }
    if (status != MF_OK) {
        fprintf(stderr, "%s\n", mf_error_text(&error));
    }
    mf_runtime_destroy(runtime);
    return status == MF_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
