/* A memfd that a parent hands to its worker: what the worker gets, behind which wrappers, and what
 * the worker's own programs get of it. This program is also the worker. */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/process/exits.h"
#include "core/process/private.h"
#include "core/process/spawn.h"
#include "mf_test.h"

#define WORKER "--worker"

/* ---- The worker ---- */

/* Prints what came: the text in the segment, the flags, and what a program of its own sees. */
static int be_worker(void)
{
    char text[16] = "";
    char command[128];
    mfi_private_take();
    int fd = mfi_private_take_segment();
    bool closes = fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
    if (fd < 0 || pread(fd, text, sizeof text - 1, 0) < 0) {
        (void)snprintf(text, sizeof text, "none");
    }
    printf("%s|%d|%d|", text, closes, mfi_private_take_segment());
    (void)fflush(stdout);
    (void)snprintf(command, sizeof command,
                   "echo \"${COMLINK_SEGMENT-gone}|$(readlink /proc/self/fd/%d || echo closed)\"",
                   fd >= 0 ? fd : 999);
    return system(command); /* NOLINT: a text of this file */
}

/* ---- The parent ---- */

static int make_segment(void)
{
    int fd = memfd_create("segment", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    mf_check(fd > 2);
    mf_check_int(write(fd, "held", 4), 4);
    return fd;
}

static const char *own_program(void)
{
    static char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    mf_check(length > 0);
    return path;
}

typedef struct end {
    mfi_process process;
    mfi_exit exit;
} end;

static bool has_ended(void *data)
{
    end *at = data;
    return mfi_process_reap(&at->process, &at->exit);
}

static void read_all(int fd, char *to, size_t size)
{
    size_t length = 0;
    ssize_t got = 1;
    struct pollfd wake = {.fd = fd, .events = POLLIN};
    while (got > 0 && length < size - 1 && poll(&wake, 1, MF_TEST_PATIENCE_MS) == 1) {
        got = read(fd, to + length, size - 1 - length);
        length += got > 0 ? (size_t)got : 0;
    }
    to[length] = '\0';
}

static void check_worker(const char *program, const char *const *args, const char *const *env,
                         int fd, const char *wanted)
{
    char out[256];
    end at;
    mf_error error = MF_ERROR_INIT;
    mfi_spawn_options options = {.program = program, .args = args, .env = env, .segment_fd = fd};
    mf_check_int(mfi_process_spawn(&at.process, &options, &error), MF_OK);
    mf_check_str(error.message, "");
    read_all(at.process.stdout_fd, out, sizeof out);
    mf_check_str(out, wanted);
    mf_check(mf_test_until(has_ended, &at, MF_TEST_PATIENCE_MS));
    mf_check(at.exit.known && at.exit.code == 0);
    mfi_process_close(&at.process);
}

#define GIVEN "held|1|-1|gone|closed\n"
#define NOT_GIVEN "none|0|-1|gone|closed\n"

static void test_worker_gets_it(void)
{
    int fd = make_segment();
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 200);
    const char *const args[] = {WORKER, NULL};
    check_worker(own_program(), args, NULL, fd, GIVEN);
    check_worker(own_program(), args, NULL, high, GIVEN);
    mf_check_int(fcntl(fd, F_GETFD), FD_CLOEXEC); /* in the parent it is as it was */
    (void)close(high);
    (void)close(fd);
}

static void test_behind_wrappers(void)
{
    int fd = make_segment();
    const char *const of_env[] = {own_program(), WORKER, NULL};
    const char *const of_shell[] = {"-c", "\"$0\" " WORKER "; true", own_program(), NULL};
    check_worker("/usr/bin/env", of_env, NULL, fd, GIVEN);
    check_worker("/bin/sh", of_shell, NULL, fd, GIVEN);
    (void)close(fd);
}

/* A wrapper that puts a file of its own at the number gives the worker none. */
static void test_another_file_is_refused(void)
{
    char script[64];
    int made = make_segment();
    int fd = fcntl(made, F_DUPFD_CLOEXEC, 3);
    mf_check(fd < 10); /* of those that the shell can name */
    (void)snprintf(script, sizeof script, "exec \"$0\" " WORKER " %d</dev/null", fd);
    const char *const args[] = {"-c", script, own_program(), NULL};
    check_worker("/bin/sh", args, NULL, fd, NOT_GIVEN);
    (void)close(fd);
    (void)close(made);
}

static void test_without_one(void)
{
    const char *const args[] = {WORKER, NULL};
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    check_worker(own_program(), args, NULL, 0, NOT_GIVEN);
    check_worker(own_program(), args, NULL, file, NOT_GIVEN); /* no memfd */
    (void)close(file);
}

/* The parent's own segment, which its own parent gave it, is not for its workers. */
static void test_is_not_passed_on(void)
{
    const char *const args[] = {WORKER, NULL};
    (void)setenv(MFI_PRIVATE_SEGMENT, "7:1:2", 1);
    check_worker(own_program(), args, NULL, 0, NOT_GIVEN);
    (void)unsetenv(MFI_PRIVATE_SEGMENT);
}

/* ---- Texts ---- */

static int take(const char *text)
{
    (void)setenv(MFI_PRIVATE_SEGMENT, text, 1);
    mfi_private_take();
    mf_check(getenv(MFI_PRIVATE_SEGMENT) == NULL);
    return mfi_private_take_segment();
}

static void test_only_the_named_file(void)
{
    char text[128];
    char entry[MFI_PRIVATE_SEGMENT_MAX];
    struct stat at;
    int fd = make_segment();
    int other = make_segment();
    mf_check_int(fstat(fd, &at), 0);
    mf_check(mfi_private_name_segment(entry, fd));
    mf_check_int(take(strchr(entry, '=') + 1), fd);
    unsigned long long device = at.st_dev;
    unsigned long long inode = at.st_ino;
    (void)snprintf(text, sizeof text, "%d:%llu:%llu", other, device, inode);
    mf_check_int(take(text), -1);
    (void)snprintf(text, sizeof text, "%d:%llu:%llu", fd, device + 1, inode);
    mf_check_int(take(text), -1);
    (void)snprintf(text, sizeof text, "%d:%llu:%llux", fd, device, inode);
    mf_check_int(take(text), -1);
    (void)snprintf(text, sizeof text, "%llu:%llu:%llu", 4294967296ULL + (unsigned)fd, device,
                   inode);
    mf_check_int(take(text), -1);
    (void)close(other);
    (void)close(fd);
}

/* A file of a folder is none, though its numbers are right; neither is a descriptor below 3. */
static void test_other_kinds(void)
{
    static const char *const texts[] = {"", "x", "7", "7:1", "7:1:", ":1:2", "-1:1:2", "999:1:2"};
    char text[128];
    struct stat at;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    mf_check_int(fstat(fd, &at), 0);
    (void)snprintf(text, sizeof text, "%d:%llu:%llu", fd, (unsigned long long)at.st_dev,
                   (unsigned long long)at.st_ino);
    mf_check_int(take(text), -1);
    mf_check(!mfi_private_name_segment(text, fd));
    mf_check(!mfi_private_name_segment(text, 0));
    mf_check(!mfi_private_name_segment(text, -1));
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        mf_check_int(take(texts[i]), -1);
    }
    (void)close(fd);
}

static const mf_test tests[] = {
    {"segment__worker_gets_it", test_worker_gets_it},
    {"segment__behind_wrappers", test_behind_wrappers},
    {"segment__another_file_is_refused", test_another_file_is_refused},
    {"segment__without_one", test_without_one},
    {"segment__is_not_passed_on", test_is_not_passed_on},
    {"segment__only_the_named_file", test_only_the_named_file},
    {"segment__other_kinds", test_other_kinds},
};

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], WORKER) == 0) {
        return be_worker();
    }
    return mf_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
