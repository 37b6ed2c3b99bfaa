/* Python on both sides. The client is a process of its own and times the rounds itself; this
 * program sends it one line for each round through a pipe. */
#include "bench/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char python[] = "/usr/bin/python3"; /* Debian's Python, which has the packages */
static char client_script[] = BENCH_PEERS_FOLDER "/python_client.py";
static char server_script[] = BENCH_PEERS_FOLDER "/python_server.py";

typedef struct pair {
    bench_process server;
    bench_process client;
    int commands; /* to the client */
} pair;

static void ask(pair *both, const char *command, char *answer, size_t size)
{
    size_t length = strlen(command);
    if (write(both->commands, command, length) != (ssize_t)length ||
        !bench_process_line(&both->client, answer, size)) {
        bench_die("python: the client ended");
    }
}

static double read_figure(char **at)
{
    char *end = NULL;
    double figure = strtod(*at, &end);
    if (end == *at) {
        bench_die("python: no figure in '%s'", *at);
    }
    *at = end;
    return figure;
}

static bench_latency sync_calls(void *self, unsigned calls)
{
    char command[64];
    char answer[128];
    char *at = answer;
    (void)snprintf(command, sizeof command, "sync %u\n", calls);
    ask(self, command, answer, sizeof answer);
    bench_latency latency = {.p50_us = read_figure(&at)};
    latency.p99_us = read_figure(&at);
    return latency;
}

static double pipelined(void *self, unsigned in_flight, unsigned calls)
{
    char command[64];
    char answer[128];
    char *at = answer;
    (void)snprintf(command, sizeof command, "pipelined %u %u\n", in_flight, calls);
    ask(self, command, answer, sizeof answer);
    return read_figure(&at);
}

static void stop(void *self)
{
    pair *both = self;
    (void)close(both->commands);
    bench_process_end(&both->client);
    bench_process_end(&both->server);
    free(both);
}

static void start_client(pair *both, char *endpoint)
{
    int ends[2];
    char descriptor[16];
    char ready[16];
    const char *words[] = {python, client_script, endpoint, descriptor, NULL};
    if (pipe(ends) != 0 || fcntl(ends[1], F_SETFD, FD_CLOEXEC) != 0) {
        bench_die("python: no pipe: %s", strerror(errno));
    }
    (void)snprintf(descriptor, sizeof descriptor, "%d", ends[0]);
    bool started = bench_process_start(&both->client, words, ready, sizeof ready);
    (void)close(ends[0]);
    both->commands = ends[1];
    if (!started) {
        bench_die("python: the client does not start");
    }
}

bench_peer bench_peer_python(void)
{
    pair *both = calloc(1, sizeof *both);
    char endpoint[64];
    const char *words[] = {python, server_script, NULL};
    if (both == NULL || !bench_process_start(&both->server, words, endpoint, sizeof endpoint)) {
        bench_die("python: the server does not start");
    }
    start_client(both, endpoint);
    return (bench_peer){"python", both, sync_calls, pipelined, stop};
}
