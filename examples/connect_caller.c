/* Finds the service "greeter" by its name, on whatever port it runs, and calls it. If the service
 * restarts on another port, the parent finds it again. */
#include <stdio.h>
#include <stdlib.h>

#include <multifrost/multifrost.h>

int main(int argc, char **argv)
{
    mf_parent *greeter = NULL;
    mf_result *greeting = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    options.service_id = "greeter";
    mf_status status = mf_parent_create(&greeter, &options, &error);
    if (status == MF_OK) { /* waits up to 5 s for the service to register */
        status = mf_parent_start(greeter, &error);
    }
    if (status == MF_OK) {
        status = mf_call(greeter, "greet", MF_ARGS(argc > 1 ? argv[1] : "Ada"), &greeting, &error);
    }
    if (status == MF_OK) {
        printf("%s\n", mf_result_str(greeting));
    } else {
        fprintf(stderr, "%s\n", mf_error_text(&error));
    }
    mf_result_destroy(greeting);
    mf_parent_destroy(greeter);
    return status == MF_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
