/* A process of the attack on the registry: registers, looks its own entry up, and unregisters, over
 * and over until its standard input ends. Prints the outcome, begin and end of each operation. The
 * test fails if it prints `lost` and a reason.
 *
 *   registry_peer DIRECTORY ID OTHER-ID... */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <multifrost/multifrost.h>

static int64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* One write for each line, so that a kill leaves none half. */
static void say(const char *what, mf_status status, int64_t begun)
{
    (void)printf("%s %s %" PRId64 " %" PRId64 "\n", what, mf_err_name(status), begun, now_ns());
    (void)fflush(stdout);
}

static void complain(const char *what, const mf_error *error)
{
    (void)printf("lost %s: %s\n", what, mf_error_text(error));
    (void)fflush(stdout);
}

static bool is_over(int wait_ms)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&input, 1, wait_ms) > 0;
}

static void look(mf_registry *registry, const char *id, uint16_t port, const char *other)
{
    mf_error error = MF_ERROR_INIT;
    mf_service found = MF_SERVICE_INIT;
    mf_status status = mf_registry_find(registry, id, &found, &error);
    if (status != MF_OK || found.pid != getpid() || found.port != port) {
        complain("own entry", &error);
    }
    status = mf_registry_discover(registry, other, rand() % 20, &found, &error);
    if (status != MF_OK && status != MF_ERR_NOT_FOUND) {
        complain("discover", &error);
    }
}

static void come_and_go(mf_registry *registry, const char *id, char **others, int other_count)
{
    mf_error error = MF_ERROR_INIT;
    uint16_t port = (uint16_t)(1 + rand() % UINT16_MAX);
    int64_t begun = now_ns();
    mf_status status = mf_registry_register(registry, id, port, &error);
    say("register", status, begun);
    if (status != MF_OK) {
        if (status != MF_ERR_TIMEOUT) {
            complain("register", &error);
        }
        return;
    }
    for (int i = rand() % 5; i >= 0; i--) {
        look(registry, id, port, others[rand() % other_count]);
        (void)is_over(rand() % 40);
    }
    do {
        begun = now_ns();
        status = mf_registry_unregister(registry, id, &error);
        say("unregister", status, begun);
    } while (status == MF_ERR_TIMEOUT);
    if (status != MF_OK) {
        complain("unregister", &error);
    }
}

int main(int argc, char **argv)
{
    mf_registry *registry = NULL;
    mf_registry_options options = MF_REGISTRY_OPTIONS_INIT;
    if (argc < 4) {
        return EXIT_FAILURE;
    }
    options.directory = argv[1];
    srand((unsigned)getpid());
    if (mf_registry_create(&registry, &options, NULL) != MF_OK) {
        return EXIT_FAILURE;
    }
    do {
        come_and_go(registry, argv[2], argv + 3, argc - 3);
    } while (!is_over(rand() % 60));
    mf_registry_destroy(registry);
    return EXIT_SUCCESS;
}
