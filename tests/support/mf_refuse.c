/* A filter of system calls on one thread. It exists so that a test meets an older kernel, or a
 * container's filter, without a special machine. */
#include "mf_refuse.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/prctl.h>

#define CALLS_MOST 8

typedef struct refusal {
    const long *calls;
    size_t count;
    int reason;
    void (*body)(void *data);
    void *data;
    bool ran;
} refusal;

static bool install(const refusal *at)
{
    struct sock_filter code[2 * CALLS_MOST + 2];
    unsigned short length = 0;
    code[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0); /* the number */
    for (size_t i = 0; i < at->count && i < CALLS_MOST; i++) {
        code[length++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)at->calls[i], 0, 1);
        code[length++] = (struct sock_filter)BPF_STMT(
            BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ((unsigned)at->reason & SECCOMP_RET_DATA));
    }
    code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = length, .filter = code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void *run(void *argument)
{
    refusal *at = argument;
    at->ran = install(at);
    if (at->ran) {
        at->body(at->data);
    }
    return NULL;
}

bool mf_test_refusing(const long *calls, size_t count, int reason, void (*body)(void *data),
                      void *data)
{
    pthread_t thread;
    refusal at = {.calls = calls, .count = count, .reason = reason, .body = body, .data = data};
    if (count <= CALLS_MOST && pthread_create(&thread, NULL, run, &at) == 0) {
        (void)pthread_join(thread, NULL);
    }
    if (!at.ran) {
        (void)fprintf(stderr, "skipped: no filters of system calls here\n");
    }
    return at.ran;
}
