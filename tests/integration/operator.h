/* An operator at the admin socket of a running program: what the tests of it share. */
#ifndef TESTS_INTEGRATION_OPERATOR_H
#define TESTS_INTEGRATION_OPERATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/multifrost.h>

#define BODY_MAX ((size_t)1024 * 1024)
#define LINE_MAX_BYTES ((size_t)70000)

typedef struct scene {
    mf_runtime *runtime;
    mf_http *http;
    mf_admin *admin;
    mf_parent *parent;
    int fd;         /* a client of the socket */
    char path[107]; /* of the socket */
    char log[512];
    char *body; /* of the last page or file */
    char *line; /* the last answer */
} scene;

/* A client of the socket at the path, or -1. */
int try_connect(const char *path);
void send_text(int fd, const char *text);
/* Reads up to a newline. False if the other end closes before. */
bool read_line(int fd, char *to, size_t size);
/* Sends a command as the scene's client, and waits for its answer. */
void ask_ok(scene *at, const char *command);
/* why: a part of the error. */
void ask_bad(scene *at, const char *command, const char *why);

/* A program with an admin socket and a page. faults: whether it may inject them. */
void begin(scene *at, bool faults);
/* With the worker "math" as well. */
void begin_with_worker(scene *at, bool faults);
/* Afterwards the socket is gone. */
void end(scene *at);

/* The page is in at->body. */
void get(scene *at, const char *path);
/* sample: a line of /metrics without "multifrost_". */
void check_metric(scene *at, const char *sample);
/* The log is in at->body. */
void check_log(scene *at, const char *part);
/* Calls the worker. */
void add(scene *at, mf_status wanted);
/* Until the worker is ready again, as another process. */
void wait_for_other_worker(scene *at, int64_t former_pid);

#endif
