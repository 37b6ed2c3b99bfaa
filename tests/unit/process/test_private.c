/* What a parent tells its worker through the environment, and what is left of it there. */
#include "core/process/private.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mf_test.h"

typedef struct pipes {
    int out[2], err[2], other[2];
    char entry[MFI_PRIVATE_PIPES_MAX];
} pipes;

static void open_pipes(pipes *at)
{
    mf_check(pipe2(at->out, O_CLOEXEC) == 0 && pipe2(at->err, O_CLOEXEC) == 0 &&
             pipe2(at->other, O_CLOEXEC) == 0);
    mfi_private_name_pipes(at->entry, at->out[1], at->err[1]);
}

static void close_pipes(const pipes *at)
{
    const int fds[] = {at->out[0], at->out[1], at->err[0], at->err[1], at->other[0], at->other[1]};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        (void)close(fds[i]);
    }
}

static void take(const char *entry)
{
    (void)setenv(MFI_PRIVATE_PIPES, strchr(entry, '=') + 1, 1);
    mfi_private_take();
}

static void test_pipes_are_known_again(void)
{
    pipes at;
    open_pipes(&at);
    mf_check_int(strncmp(at.entry, "COMLINK_OUTPUT_PIPES=", 21), 0);
    take(at.entry);
    int copy = dup(at.err[1]);
    mf_check(mfi_private_is_parents_pipe(at.out[1]));
    mf_check(mfi_private_is_parents_pipe(at.err[1]));
    mf_check(mfi_private_is_parents_pipe(copy)); /* as after 2>&1 */
    mf_check(!mfi_private_is_parents_pipe(at.other[1]));
    mf_check(!mfi_private_is_parents_pipe(-1));
    mfi_private_take(); /* there is none any more: what was taken stays */
    mf_check(mfi_private_is_parents_pipe(at.out[1]));
    (void)close(copy);
    close_pipes(&at);
}

/* The numbers of a file are not those of a pipe, whoever names them. */
static void test_only_a_pipe_is_a_pipe(void)
{
    char entry[MFI_PRIVATE_PIPES_MAX];
    int file = open("/dev/null", O_WRONLY | O_CLOEXEC);
    mfi_private_name_pipes(entry, file, file);
    take(entry);
    mf_check(!mfi_private_is_parents_pipe(file));
    (void)close(file);
}

static void test_other_texts_name_no_pipe(void)
{
    static const char *const texts[] = {
        "", "x", "1:2", "1:2,3", "1:2,3:", "-1:2,3:4", "1:2,3:4x", "1:2,3:4,5:6", " 1:2,3:4"};
    pipes before;
    open_pipes(&before);
    take(before.entry);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        (void)setenv(MFI_PRIVATE_PIPES, texts[i], 1);
        mfi_private_take();
        mf_check(mfi_private_is_parents_pipe(before.out[1]));
    }
    close_pipes(&before);
}

static void test_variables_are_removed(void)
{
    (void)setenv(MFI_PRIVATE_PORT, "5000", 1);
    (void)setenv(MFI_PRIVATE_MODE, "1", 1);
    (void)setenv(MFI_PRIVATE_PIPES, "1:2,3:4", 1);
    (void)setenv("COMLINK_LOG_LEVEL", "info", 1);
    mfi_private_take();
    mf_check(getenv(MFI_PRIVATE_PORT) == NULL);
    mf_check(getenv(MFI_PRIVATE_MODE) == NULL);
    mf_check(getenv(MFI_PRIVATE_PIPES) == NULL);
    mf_check_str(getenv("COMLINK_LOG_LEVEL"), "info");
}

static void test_entries_are_told_apart(void)
{
    mf_check(mfi_private_is("COMLINK_ZMQ_PORT=5000"));
    mf_check(mfi_private_is("COMLINK_WORKER_MODE="));
    mf_check(mfi_private_is("COMLINK_WORKER_NAME=math-0"));
    mf_check(mfi_private_is("COMLINK_OUTPUT_PIPES=1:2,3:4"));
    mf_check(!mfi_private_is("COMLINK_LOG_LEVEL=info"));
    mf_check(!mfi_private_is("COMLINK_ZMQ_PORTS=1"));
    mf_check(!mfi_private_is("COMLINK_ZMQ_PORT"));
}

static const mf_test tests[] = {
    {"private__pipes_are_known_again", test_pipes_are_known_again},
    {"private__only_a_pipe_is_a_pipe", test_only_a_pipe_is_a_pipe},
    {"private__other_texts_name_no_pipe", test_other_texts_name_no_pipe},
    {"private__variables_are_removed", test_variables_are_removed},
    {"private__entries_are_told_apart", test_entries_are_told_apart},
};

MF_TEST_MAIN(tests)
