/* UUIDs survive their text, and a forked process draws ids of its own. */
#include "base/id.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mf_test.h"

static void test_uuid_round_trip(void)
{
    char text[MFI_UUID_TEXT];
    mfi_uuid parsed;
    mfi_uuid made = mfi_uuid_make();
    mf_check_int(made.bytes[6] >> 4, 4);
    mf_check_int(made.bytes[8] >> 6, 2);
    mfi_uuid_format(&made, text);
    mf_check_int(strlen(text), 36);
    mf_check(mfi_uuid_parse(text, 36, &parsed));
    mf_check_int(memcmp(&made, &parsed, sizeof made), 0);
}

static void test_uuid_text(void)
{
    static const char lower[] = "01234567-89ab-cdef-0123-456789abcdef";
    char text[MFI_UUID_TEXT];
    mfi_uuid uuid;
    mf_check(mfi_uuid_parse("01234567-89AB-CDEF-0123-456789ABCDEF", 36, &uuid));
    mfi_uuid_format(&uuid, text);
    mf_check_str(text, lower);
    mf_check(!mfi_uuid_parse(lower, 35, &uuid));
    mf_check(!mfi_uuid_parse("01234567-89ab-cdef-0123-456789abcdeg", 36, &uuid));
    mf_check(!mfi_uuid_parse("0123456789-ab-cdef-0123-456789abcdef", 36, &uuid));
    mf_check(!mfi_uuid_parse("01234567-89ab-cdef-0123-456789abcdef0", 37, &uuid));
}

static void test_beginning_leaves_the_end(void)
{
    static const uint8_t zero[6];
    mfi_uuid begun = mfi_uuid_begin();
    mfi_uuid other = mfi_uuid_begin();
    mf_check_int(memcmp(begun.bytes + 10, zero, sizeof zero), 0);
    mf_check_int(begun.bytes[6] >> 4, 4);
    mf_check(memcmp(begun.bytes, other.bytes, 10) != 0);
}

/* A child that drew from its parent's block would make the same ids. */
static void test_forked_process_draws_its_own(void)
{
    uint64_t own[2] = {0, 0};
    uint64_t childs[2] = {0, 0};
    int ends[2];
    (void)mfi_random_u64(); /* so that there is a block */
    (void)mfi_random_fast();
    uint64_t generation = mfi_fork_generation();
    if (!mf_check(pipe(ends) == 0)) {
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        uint64_t numbers[2] = {mfi_random_u64(), mfi_random_fast()};
        bool counted = mfi_fork_generation() == generation + 1;
        bool written = write(ends[1], numbers, sizeof numbers) == (ssize_t)sizeof numbers;
        _exit(counted && written ? 0 : 1);
    }
    own[0] = mfi_random_u64();
    own[1] = mfi_random_fast();
    int status = -1;
    mf_check(waitpid(pid, &status, 0) == pid);
    mf_check_int(status, 0);
    mf_check(read(ends[0], childs, sizeof childs) == (ssize_t)sizeof childs);
    mf_check(own[0] != childs[0]);
    mf_check(own[1] != childs[1]);
    mf_check(mfi_fork_generation() == generation);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* ---- Shared memory and forks ---- */

#define PAGE ((size_t)4096)

static unsigned char *shared_page(void)
{
    void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    mf_check(page != MAP_FAILED);
    memset(page, 'p', PAGE);
    return page;
}

/* True if the child, and a child of the child, see zeros where the page was, and can write. */
static bool forks_see_zeros(unsigned char *page)
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        bool zero = page[0] == 0 && page[PAGE - 1] == 0;
        memset(page, 'c', PAGE);
        pid_t second = fork();
        if (second == 0) {
            memset(page, 's', PAGE);
            _exit(0);
        }
        bool ended = waitpid(second, &status, 0) == second && status == 0;
        _exit(ended && zero && page[0] == 'c' ? 0 : 1);
    }
    mf_check_int(waitpid(child, &status, 0), child);
    return status == 0;
}

static void test_forked_process_leaves_shared_memory(void)
{
    unsigned char *page = shared_page();
    unsigned char *open_page = shared_page();
    mf_check(mfi_fork_cover(page, PAGE));
    mf_check(forks_see_zeros(page));
    mf_check(page[0] == 'p' && page[PAGE - 1] == 'p');
    mf_check(!forks_see_zeros(open_page)); /* nobody asked for it */
    mf_check_int(open_page[0], 's');
    mfi_fork_uncover(page);
    mf_check(!forks_see_zeros(page));
    mf_check_int(page[0], 's');
    (void)munmap(page, PAGE);
    (void)munmap(open_page, PAGE);
}

static void test_covers_are_bounded(void)
{
    unsigned char *pages[MFI_FORK_COVERS_MAX + 1];
    for (size_t i = 0; i <= MFI_FORK_COVERS_MAX; i++) {
        pages[i] = shared_page();
        mf_check(mfi_fork_cover(pages[i], PAGE) == (i < MFI_FORK_COVERS_MAX));
    }
    mf_check(forks_see_zeros(pages[MFI_FORK_COVERS_MAX - 1]));
    mfi_fork_uncover(pages[0]);
    mf_check(mfi_fork_cover(pages[MFI_FORK_COVERS_MAX], PAGE)); /* the place is free again */
    for (size_t i = 0; i <= MFI_FORK_COVERS_MAX; i++) {
        mfi_fork_uncover(pages[i]); /* of a range that is not covered: a no-op */
        (void)munmap(pages[i], PAGE);
    }
}

static const mf_test tests[] = {
    {"id__uuid_survives_its_text", test_uuid_round_trip},
    {"id__uuid_text_is_checked", test_uuid_text},
    {"id__begun_uuid_leaves_six_bytes", test_beginning_leaves_the_end},
    {"id__forked_process_draws_its_own", test_forked_process_draws_its_own},
    {"id__forked_process_leaves_shared_memory", test_forked_process_leaves_shared_memory},
    {"id__covers_of_shared_memory_are_bounded", test_covers_are_bounded},
};
MF_TEST_MAIN(tests)
