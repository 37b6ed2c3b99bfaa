/* The program and the client of its admin socket: see operator.h. */
#include "operator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "mf_test.h"
#include "pages.h"
#include "parents.h"

/* ---- A client ---- */

int try_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

void send_text(int fd, const char *text)
{
    size_t size = strlen(text);
    mf_check_int(send(fd, text, size, MSG_NOSIGNAL), (ssize_t)size);
}

bool read_line(int fd, char *to, size_t size)
{
    size_t length = 0;
    while (length + 1 < size && recv(fd, to + length, 1, 0) == 1) {
        if (to[length++] == '\n') {
            to[length] = '\0';
            return true;
        }
    }
    to[length] = '\0';
    return false;
}

static void ask(scene *at, const char *command)
{
    send_text(at->fd, command);
    send_text(at->fd, "\n");
    mf_check(read_line(at->fd, at->line, LINE_MAX_BYTES));
    mf_check_contains(at->line, "{\"schema\":\"multifrost.admin/1\",\"ok\":");
}

void ask_ok(scene *at, const char *command)
{
    ask(at, command);
    mf_check_contains(at->line, "\"ok\":true");
}

void ask_bad(scene *at, const char *command, const char *why)
{
    ask(at, command);
    mf_check_contains(at->line, "\"ok\":false");
    mf_check_contains(at->line, why);
}

/* ---- The program ---- */

void begin(scene *at, bool faults)
{
    static int number = 0;
    mf_error error = MF_ERROR_INIT;
    mf_runtime_options runtime = MF_RUNTIME_OPTIONS_INIT;
    mf_http_options http = MF_HTTP_OPTIONS_INIT;
    mf_admin_options admin = MF_ADMIN_OPTIONS_INIT;
    *at = (scene){.body = malloc(BODY_MAX), .line = malloc(LINE_MAX_BYTES)};
    (void)snprintf(at->log, sizeof at->log, "%s/admin-%d.log", mf_test_temp_dir(), ++number);
    (void)snprintf(at->path, sizeof at->path, "%s/%d.sock", mf_test_temp_dir(), number);
    runtime.log_file = at->log;
    runtime.fault_injection = faults;
    http.port = MF_HTTP_PORT_ANY;
    admin.path = at->path;
    mf_check_int(mf_runtime_create(&at->runtime, &runtime, &error), MF_OK);
    mf_check_int(mf_http_create(&at->http, mf_runtime_probe(at->runtime), &http, &error), MF_OK);
    mf_check_int(mf_admin_create(&at->admin, at->runtime, &admin, &error), MF_OK);
    mf_check_str(error.message, "");
    mf_check_str(mf_admin_path(at->admin), at->path);
    at->fd = try_connect(at->path);
    mf_check(at->fd >= 0);
}

void begin_with_worker(scene *at, bool faults)
{
    mf_parent_options options = worker_options();
    begin(at, faults);
    options.runtime = at->runtime;
    options.auto_restart = true;
    at->parent = start(&options);
}

void end(scene *at)
{
    (void)close(at->fd);
    mf_parent_destroy(at->parent);
    mf_http_destroy(at->http);
    mf_admin_destroy(at->admin);
    mf_runtime_destroy(at->runtime);
    mf_check_int(access(at->path, F_OK), -1);
    free(at->body);
    free(at->line);
}

void get(scene *at, const char *path)
{
    (void)get_page(mf_http_port(at->http), path, at->body, BODY_MAX);
}

void check_metric(scene *at, const char *sample)
{
    char line[256];
    (void)snprintf(line, sizeof line, "\nmultifrost_%s\n", sample);
    get(at, "/metrics");
    mf_check_contains(at->body, line);
}

void check_log(scene *at, const char *part)
{
    mf_check(mf_log_flush(mf_runtime_logger(at->runtime), MF_TEST_PATIENCE_MS));
    read_whole(at->log, at->body, BODY_MAX);
    mf_check_contains(at->body, part);
}

void add(scene *at, mf_status wanted)
{
    mf_check_int(mf_call(at->parent, "add", MF_ARGS(1, 2), NULL, NULL), wanted);
}

typedef struct former_worker {
    mf_parent *parent;
    int64_t pid;
} former_worker;

static bool has_other_pid(void *data)
{
    const former_worker *former = data;
    return is_ready(former->parent) && mf_parent_pid(former->parent) != former->pid;
}

void wait_for_other_worker(scene *at, int64_t former_pid)
{
    former_worker former = {.parent = at->parent, .pid = former_pid};
    mf_check(mf_test_until(has_other_pid, &former, MF_TEST_PATIENCE_MS));
}
