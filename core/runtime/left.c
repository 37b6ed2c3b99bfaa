/* Watches the helpers of processes that were given up, and waits for them when they end. It exists
 * because such a process outlives its parent, and often only the runtime lives as long. The room
 * process keeps the helpers themselves, also beyond the runtime. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/process/exits.h"
#include "core/runtime/runtime.h"

typedef struct left_watch {
    mf_runtime *runtime;
    mfi_list_node node; /* in runtime->left */
    mfi_source
        source; /* its descriptor is a copy of the pidfd: the list may close that one first */
} left_watch;

static void end_watch(left_watch *watch)
{
    int fd = watch->source.fd;
    mfi_list_remove(&watch->runtime->left, &watch->node);
    mfi_source_remove(watch->runtime->loop, &watch->source);
    (void)close(fd);
    free(watch);
}

static void on_ended(mfi_source *source, uint32_t events)
{
    (void)events;
    end_watch(MFI_CONTAINER(source, left_watch, source));
    mfi_process_reap_left();
}

/* Takes the descriptor, or closes it. Without memory, the next start looks. */
static void watch_helper(mf_runtime *runtime, int fd)
{
    left_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL) {
        (void)close(fd);
        return;
    }
    watch->runtime = runtime;
    mfi_source_init(&watch->source, on_ended);
    if (mfi_source_add(runtime->loop, &watch->source, fd, EPOLLIN, NULL) != MF_OK) {
        (void)close(fd);
        free(watch);
        return;
    }
    mfi_list_push_back(&runtime->left, &watch->node);
}

void mfi_runtime_leave_process(mf_runtime *runtime, mfi_process *process)
{
    int fd = process->pidfd >= 0 ? fcntl(process->pidfd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1) : -1;
    mfi_process_leave(process);
    if (fd >= 0) {
        watch_helper(runtime, fd);
    }
}

static void forget(void *data)
{
    mf_runtime *runtime = data;
    for (mfi_list_node *node = runtime->left.first, *next = NULL; node != NULL; node = next) {
        next = node->next;
        end_watch(MFI_CONTAINER(node, left_watch, node));
    }
}

void mfi_runtime_forget_left(mf_runtime *runtime)
{
    if (runtime->loop != NULL) {
        mfi_loop_call(runtime->loop, forget, runtime);
    }
}
