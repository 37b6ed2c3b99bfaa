/* Bad clients of the admin socket: garbage, long lines, slow readers, idle ones and other users
 * change nothing for the program and for other clients. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "operator.h"

#define GARBAGE 1000

static void test_garbage(void)
{
    static const char *const lines[] = {
        "",
        "{",
        "null",
        "[1]",
        "{}",
        "{\"command\":\"explode\"}",
        "{\"command\":7}",
        "{\"command\":\"status\",\"more\":1}",
        "{\"command\":\"circuit\",\"action\":\"auto\"}",
        "\xff\xfe\x01",
        "GET / HTTP/1.1\r",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
        "[",
    };
    scene at;
    begin_with_worker(&at, true);
    for (size_t i = 0; i < GARBAGE; i++) {
        ask_bad(&at, lines[i % (sizeof lines / sizeof lines[0])], "\"error\":\"");
    }
    ask_ok(&at, "{\"command\":\"status\"}");
    add(&at, MF_OK);
    check_metric(&at, "admin_commands_total{command=\"circuit\",result=\"error\"} 83");
    end(&at);
}

static void test_long_line(void)
{
    scene at;
    char *line = malloc(20001);
    begin(&at, false);
    memset(line, 'a', 20000);
    line[20000] = '\0';
    ask_bad(&at, line, "a line has at most 4096 bytes");
    ask_ok(&at, "{\"command\":\"help\"}"); /* one answer for the long one */
    free(line);
    end(&at);
}

static void test_slow_client(void)
{
    scene at;
    static const char help[] = "{\"command\":\"help\"}\n";
    begin(&at, false);
    int slow = try_connect(at.path);
    int flags = fcntl(slow, F_GETFL);
    mf_check_int(fcntl(slow, F_SETFL, flags | O_NONBLOCK), 0);
    /* Until neither direction takes any more. The rest of a cut line does not matter. */
    size_t sent = 0;
    for (int quiet = 0; quiet < 100;) {
        if (send(slow, help, sizeof help - 1, MSG_NOSIGNAL) < 0) {
            quiet++;
            ask_ok(&at, "{\"command\":\"help\"}"); /* the other one is served meanwhile */
        } else {
            quiet = 0;
            sent++;
        }
    }
    mf_check(sent > 0);
    ask_ok(&at, "{\"command\":\"status\"}");
    (void)close(slow);
    end(&at);
}

static void test_idle_client_gives_way(void)
{
    scene at;
    int fds[8];
    char line[256];
    begin(&at, false);
    for (size_t i = 0; i < 8; i++) { /* with that of the scene, which was silent longest: nine */
        fds[i] = try_connect(at.path);
        send_text(fds[i], "{\"command\":\"x\"}\n");
        mf_check(read_line(fds[i], line, sizeof line));
    }
    mf_check(!read_line(at.fd, line, sizeof line)); /* closed */
    send_text(fds[0], "{\"command\":\"x\"}\n");
    mf_check(read_line(fds[0], line, sizeof line));
    for (size_t i = 0; i < 8; i++) {
        (void)close(fds[i]);
    }
    end(&at);
}

/* Its answer comes through the exit status. */
static int ask_as_other(const char *path)
{
    char line[256];
    pid_t pid = fork();
    if (pid == 0) {
        int fd = setresuid(65534, 65534, 65534) == 0 ? try_connect(path) : -1;
        bool told = fd >= 0 && read_line(fd, line, sizeof line) &&
                    strstr(line, "user 65534 may not ask") != NULL &&
                    !read_line(fd, line, sizeof line);
        _exit(fd < 0 ? 2 : told ? 0 : 1);
    }
    int status = 0;
    mf_check_int(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_another_user(void)
{
    char folder[] = "/tmp/mf-admin-XXXXXX";
    char path[64];
    scene at;
    mf_admin *admin = NULL;
    mf_admin_options options = MF_ADMIN_OPTIONS_INIT;
    if (geteuid() != 0) {
        (void)fprintf(stderr, "skipped: another user is refused (needs root)\n");
        return;
    }
    begin(&at, false);
    mf_check(mkdtemp(folder) != NULL);
    mf_check_int(chmod(folder, 0755), 0);
    (void)snprintf(path, sizeof path, "%s/a.sock", folder);
    options.path = path;
    mf_check_int(mf_admin_create(&admin, at.runtime, &options, NULL), MF_OK);
    mf_check_int(ask_as_other(path), 2); /* the file's mode keeps others out */
    mf_check_int(chmod(path, 0666), 0);
    mf_check_int(ask_as_other(path), 0); /* and so does the kernel's word */
    check_metric(&at, "admin_commands_total{command=\"connect\",result=\"error\"} 1");
    mf_admin_destroy(admin);
    mf_check_int(rmdir(folder), 0);
    end(&at);
}

static const mf_test tests[] = {
    {"admin__garbage_changes_nothing", test_garbage},
    {"admin__a_long_line_has_one_answer", test_long_line},
    {"admin__a_slow_client_holds_up_no_other", test_slow_client},
    {"admin__an_idle_client_gives_way", test_idle_client_gives_way},
    {"admin__another_user_is_refused", test_another_user},
};
MF_TEST_MAIN(tests)
