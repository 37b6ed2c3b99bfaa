/* Runs a fuzz target without a fuzzer, so that gcc's builds and ctest can run it: each file
 * unchanged, cut short, and with bytes changed in a fixed order. Usage: fuzz_x DIRECTORY
 * [MUTATIONS]. With clang and -fsanitize=fuzzer the target needs no driver. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CUT_MAX_BYTES 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In memory that is exactly as large, so that a sanitizer sees every byte read behind it. */
static void run_exact(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);
    if (exact != NULL) {
        memcpy(exact, data, size);
        (void)LLVMFuzzerTestOneInput(exact, size);
    }
    free(exact);
}

/* xorshift: Marsaglia, "Xorshift RNGs", 2003. */
static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static void run_variants(uint8_t *data, size_t size, long mutations)
{
    uint32_t state = 2463534242u;
    run_exact(data, size);
    for (size_t cut = 0; cut < size && cut < CUT_MAX_BYTES; cut++) {
        run_exact(data, cut);
    }
    for (long i = 0; size > 0 && i < mutations; i++) {
        uint8_t *place = &data[next_random(&state) % size];
        uint8_t before = *place;
        *place = (uint8_t)next_random(&state);
        run_exact(data, size);
        if (next_random(&state) % 4 != 0) { /* the others pile up */
            *place = before;
        }
    }
}

static long run_file(const char *directory, const char *name, long mutations)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "rbe");
    uint8_t *data = NULL;
    long size = -1;
    if (file == NULL) {
        return 0;
    }
    if (fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0) {
        rewind(file);
        data = malloc((size_t)size + 1);
    }
    if (data != NULL && fread(data, 1, (size_t)size, file) == (size_t)size) {
        run_variants(data, (size_t)size, mutations);
    }
    free(data);
    (void)fclose(file);
    return 1;
}

int main(int argc, char **argv)
{
    long files = 0;
    DIR *directory = argc > 1 ? opendir(argv[1]) : NULL;
    if (directory == NULL) {
        (void)fprintf(stderr, "usage: %s DIRECTORY [MUTATIONS]\n", argv[0]);
        return EXIT_FAILURE;
    }
    long mutations = argc > 2 ? strtol(argv[2], NULL, 10) : 100;
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        files += entry->d_name[0] != '.' ? run_file(argv[1], entry->d_name, mutations) : 0;
    }
    (void)closedir(directory);
    printf("%ld files\n", files);
    return files > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
