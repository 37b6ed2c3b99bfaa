/* An admin socket from its creation to its end; tests/integration/test_admin.c has the rest. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <multifrost/admin.h>

#include "mf_test.h"

static void test_arguments(void)
{
    mf_admin *admin = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = NULL;
    mf_check_int(mf_runtime_create(&runtime, NULL, NULL), MF_OK);
    mf_check_int(mf_admin_create(&admin, NULL, NULL, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_str(error.message, "runtime is NULL");
    mf_check_int(mf_admin_create(NULL, runtime, NULL, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check(admin == NULL);
    mf_check(mf_admin_path(NULL) == NULL);
    mf_admin_destroy(NULL);
    mf_runtime_destroy(runtime);
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    mf_check_int(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* The socket keeps its runtime; its end closes what clients hold, and removes the file. */
static void test_life(void)
{
    char path[107];
    char line[4096];
    mf_admin *admin = NULL;
    mf_runtime *runtime = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_admin_options options = MF_ADMIN_OPTIONS_INIT;
    (void)snprintf(path, sizeof path, "%s/life", mf_test_temp_dir());
    options.path = path;
    mf_check_int(mf_runtime_create(&runtime, NULL, NULL), MF_OK);
    mf_check_int(mf_admin_create(&admin, runtime, &options, &error), MF_OK);
    mf_runtime_destroy(runtime);
    int fd = connect_to(path);
    mf_check_int(send(fd, "{\"command\":\"help\"}\n", 19, 0), 19);
    mf_check(recv(fd, line, sizeof line, 0) > 0);
    mf_admin_destroy(admin);
    mf_check_int(recv(fd, line, sizeof line, 0), 0);
    mf_check_int(access(path, F_OK), -1);
    (void)close(fd);
}

/* The forked process has no thread to end, and must not take the socket from its parent. */
static void test_fork(void)
{
    char path[107];
    int status = 0;
    mf_admin *admin = NULL;
    mf_runtime *runtime = NULL;
    mf_admin_options options = MF_ADMIN_OPTIONS_INIT;
    (void)snprintf(path, sizeof path, "%s/fork", mf_test_temp_dir());
    options.path = path;
    mf_check_int(mf_runtime_create(&runtime, NULL, NULL), MF_OK);
    mf_check_int(mf_admin_create(&admin, runtime, &options, NULL), MF_OK);
    pid_t pid = fork();
    if (pid == 0) {
        mf_admin *other = NULL;
        mf_admin_destroy(admin);
        _exit(mf_admin_create(&other, runtime, &options, NULL) == MF_ERR_FORKED ? 0 : 1);
    }
    mf_check_int(waitpid(pid, &status, 0), pid);
    mf_check_int(status, 0);
    mf_check_int(access(path, F_OK), 0);
    mf_admin_destroy(admin);
    mf_runtime_destroy(runtime);
}

static const mf_test tests[] = {
    {"admin__arguments", test_arguments},
    {"admin__life", test_life},
    {"admin__a_forked_process_has_no_part_in_it", test_fork},
};
MF_TEST_MAIN(tests)
