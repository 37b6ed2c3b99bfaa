/* Large blocks are kept for reuse, up to a bound, between threads and in a forked process. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/block.h"
#include "base/buf.h"
#include "mf_test.h"

static void test_any_size_can_be_had_and_given_back(void)
{
    const size_t sizes[] = {1, 256, 4096, 65536, (size_t)1 << 23, (size_t)1 << 24, 5000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        void *block = mfi_block_get(sizes[i]);
        mf_check(block != NULL);
        memset(block, 0x5a, sizes[i]);
        mfi_block_put(block, sizes[i]);
    }
    mfi_block_put(NULL, 4096);
}

#if !defined(__SANITIZE_ADDRESS__)
static void test_large_ones_come_back(void)
{
    void *block = mfi_block_get(65536);
    mfi_block_put(block, 65536);
    void *other_size = mfi_block_get(4096);
    void *again = mfi_block_get(65536);
    mf_check(again == block);
    mf_check(other_size != block);
    free(other_size); /* as the owner of a buffer that was taken does */
    mfi_block_put(again, 65536);
}
#endif

static void *churn(void *argument)
{
    unsigned seed = *(unsigned *)argument;
    size_t wrong = 0;
    for (int i = 0; i < 2000; i++) {
        mfi_buf buf;
        mfi_buf_init(&buf, 0);
        size_t size = (size_t)rand_r(&seed) % 100000;
        for (size_t k = 0; k < size; k += 1000) { /* grows, and keeps what it has */
            uint8_t bytes[1000];
            memset(bytes, (int)(k / 1000), sizeof bytes);
            mfi_buf_append(&buf, bytes, sizeof bytes);
        }
        for (size_t k = 0; k < buf.size; k++) {
            wrong += buf.data[k] != (uint8_t)(k / 1000);
        }
        mfi_buf_fini(&buf);
    }
    return (void *)wrong;
}

static void test_buffers_of_several_threads(void)
{
    pthread_t threads[3];
    unsigned seeds[3] = {1, 2, 3};
    for (int i = 0; i < 3; i++) {
        mf_check_int(pthread_create(&threads[i], NULL, churn, &seeds[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        void *wrong = NULL;
        pthread_join(threads[i], &wrong);
        mf_check(wrong == NULL);
    }
}

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
static _Atomic(bool) forking;

static void *get_and_put(void *unused)
{
    (void)unused;
    while (atomic_load(&forking)) {
        void *block = mfi_block_get(8192);
        mfi_block_put(block, 8192);
    }
    return NULL;
}

/* The lock is never in the hands of a thread that did not come along. */
static void test_a_forked_process_can_use_them(void)
{
    pthread_t thread;
    int hung = 0;
    atomic_store(&forking, true);
    mf_check_int(pthread_create(&thread, NULL, get_and_put, NULL), 0);
    for (int i = 0; i < 1000; i++) {
        int status = 0;
        pid_t pid = fork();
        if (pid == 0) {
            (void)alarm(10);
            mfi_block_put(mfi_block_get(8192), 8192);
            _exit(0);
        }
        mf_check_int(waitpid(pid, &status, 0), pid);
        hung += status != 0;
        if (hung > 0) {
            break;
        }
    }
    atomic_store(&forking, false);
    pthread_join(thread, NULL);
    mf_check_int(hung, 0);
}
#endif

static const mf_test tests[] = {
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
    {"a_forked_process_can_use_them", test_a_forked_process_can_use_them},
#endif
    {"any_size_can_be_had_and_given_back", test_any_size_can_be_had_and_given_back},
#if !defined(__SANITIZE_ADDRESS__)
    {"large_ones_come_back", test_large_ones_come_back},
#endif
    {"buffers_of_several_threads", test_buffers_of_several_threads},
};
MF_TEST_MAIN(tests)
