/* Calls a worker with a token in the metadata, and without one. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <multifrost/multifrost.h>

static mf_status ask(mf_parent *bank, const char *token, mf_error *error)
{
    mf_result *result = NULL;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    mf_value metadata = MF_MAP("token", token); /* a NULL token is sent as nil */
    options.metadata = &metadata;
    mf_status status = mf_call_with(bank, "balance", MF_NO_ARGS, &options, &result, error);
    if (status == MF_OK) {
        printf("balance %" PRId64 "\n", mf_result_int(result));
    } else {
        printf("refused: %s\n", mf_error_text(error));
    }
    mf_result_destroy(result);
    return status;
}

int main(int argc, char **argv)
{
    mf_parent *bank = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    const char *token = getenv("BANK_TOKEN"); /* the worker inherits the environment */
    options.program = argc > 1 ? argv[1] : "./auth_worker";
    mf_status status = mf_parent_create(&bank, &options, &error);
    if (status == MF_OK) {
        status = mf_parent_start(bank, &error);
    }
    if (status != MF_OK) {
        fprintf(stderr, "%s\n", mf_error_text(&error));
    } else {
        bool refused = ask(bank, NULL, &error) == MF_ERR_REMOTE;
        bool served = ask(bank, token, &error) == MF_OK;
        status = refused && served ? MF_OK : MF_ERR_STATE;
    }
    mf_parent_destroy(bank);
    return status == MF_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
