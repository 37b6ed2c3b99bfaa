/* services.json holds any bytes. Either all operations refuse the file, name the place, and leave
 * it unchanged; or a service registers and unregisters, and every other entry is kept byte for byte
 * and in order, unless its process has ended. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <multifrost/registry.h>

#include "core/discovery/file.h"

#define OWN "fuzz-own"
#define ENTRIES_MAX 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[512];
static char path[600];

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static mf_registry *open_registry(void)
{
    const char *given = getenv("MF_FUZZ_FOLDER");
    static char made[] = "/tmp/fuzz-registry-XXXXXX";
    mf_registry *registry = NULL;
    mf_registry_options options = MF_REGISTRY_OPTIONS_INIT;
    if (folder[0] == '\0') {
        given = given != NULL ? given : mkdtemp(made);
        must(given != NULL);
        (void)snprintf(folder, sizeof folder, "%s", given);
        (void)snprintf(path, sizeof path, "%s/" MFI_REGISTRY_FILE, folder);
    }
    options.directory = folder;
    options.lock_timeout_ms = 1; /* as long as a cut file is waited for */
    must(mf_registry_create(&registry, &options, NULL) == MF_OK);
    return registry;
}

static void write_input(const uint8_t *data, size_t size)
{
    FILE *file = fopen(path, "we");
    must(file != NULL);
    must(fwrite(data, 1, size, file) == size);
    must(fclose(file) == 0);
    /* So old that no peer is writing the file, which readers would wait for. */
    struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    must(utimensat(AT_FDCWD, path, old, 0) == 0);
}

static void must_be_unchanged(const uint8_t *data, size_t size)
{
    char *now = malloc(size + 2);
    FILE *file = fopen(path, "re");
    must(file != NULL && now != NULL);
    must(fread(now, 1, size + 2, file) == size);
    must(size == 0 || memcmp(now, data, size) == 0);
    (void)fclose(file);
    free(now);
}

static mf_status load(mfi_registry_file *file, mf_error *error)
{
    mfi_registry_dir dir;
    must(mfi_registry_dir_open(&dir, folder, error) == MF_OK);
    mf_status status = mfi_registry_file_load(file, &dir, error);
    mfi_registry_dir_close(&dir);
    return status;
}

static void ignore(const mf_service *service, void *user_data)
{
    (void)user_data;
    must(service->port != 0 && service->pid > 0 && mfi_service_id_valid(service->id));
}

/* What all operations say of a file that is no registry. */
static void check_refused(mf_registry *registry, const uint8_t *data, size_t size)
{
    mf_error error = MF_ERROR_INIT;
    mf_service found = MF_SERVICE_INIT;
    must(mf_registry_list(registry, ignore, NULL, NULL) == MF_ERR_PROTOCOL);
    must(mf_registry_find(registry, OWN, &found, NULL) == MF_ERR_PROTOCOL);
    must(mf_registry_unregister(registry, OWN, NULL) == MF_ERR_PROTOCOL);
    must(mf_registry_register(registry, OWN, 7, &error) == MF_ERR_PROTOCOL);
    must(strstr(error.message, path) != NULL && strstr(error.message, " byte ") != NULL);
    must_be_unchanged(data, size);
}

/* Entries that nobody may take out: no service, or one whose process lives, now and before. */
typedef struct kept {
    mfi_registry_entry entries[ENTRIES_MAX];
    size_t count;
} kept;

static void note(mfi_registry_file *before, kept *entries)
{
    mfi_registry_entry entry;
    entries->count = 0;
    while (mfi_registry_file_next(before, &entry)) {
        bool is_left = !entry.is_service || mfi_registry_entry_alive(&entry);
        if (is_left && strcmp(entry.id, OWN) != 0 && entries->count < ENTRIES_MAX) {
            entries->entries[entries->count++] = entry;
        }
    }
}

/* The file's entries have these among them. */
static void check_kept(kept *entries)
{
    mfi_registry_file after;
    mfi_registry_entry entry;
    size_t at = 0;
    must(load(&after, NULL) == MF_OK);
    while (mfi_registry_file_next(&after, &entry)) {
        while (at < entries->count && entries->entries[at].is_service &&
               !mfi_registry_entry_alive(&entries->entries[at])) {
            at++; /* it has ended meanwhile: the pid was a stranger's */
        }
        if (at < entries->count && entry.length == entries->entries[at].length &&
            memcmp(entry.text, entries->entries[at].text, entry.length) == 0) {
            at++;
        }
    }
    must(at == entries->count);
    mfi_registry_file_unload(&after);
}

static void check_served(mf_registry *registry, mfi_registry_file *before)
{
    static kept entries;
    mf_service found = MF_SERVICE_INIT;
    note(before, &entries);
    must(mf_registry_list(registry, ignore, NULL, NULL) == MF_OK);
    for (size_t i = 0; i < entries.count; i++) {
        const char *id = entries.entries[i].id;
        mf_status status = mf_registry_find(registry, id, &found, NULL);
        must(id[0] == '\0' || status == MF_OK || status == MF_ERR_NOT_FOUND);
    }
    mf_status status = mf_registry_register(registry, OWN, 7, NULL);
    check_kept(&entries);
    if (status == MF_ERR_EXISTS) { /* the input has it, of a live process */
        return;
    }
    must(status == MF_OK);
    must(mf_registry_find(registry, OWN, &found, NULL) == MF_OK);
    must(found.port == 7 && found.pid == getpid());
    must(mf_registry_unregister(registry, OWN, NULL) == MF_OK);
    must(mf_registry_find(registry, OWN, &found, NULL) == MF_ERR_NOT_FOUND);
    check_kept(&entries);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mfi_registry_file before;
    mf_error error = MF_ERROR_INIT;
    mf_registry *registry = open_registry();
    write_input(data, size);
    mf_status status = load(&before, &error);
    must(status == MF_OK || (status == MF_ERR_PROTOCOL && error.message[0] != '\0'));
    if (status == MF_OK) {
        check_served(registry, &before);
        mfi_registry_file_unload(&before);
    } else {
        check_refused(registry, data, size);
    }
    mf_registry_destroy(registry);
    return 0;
}
