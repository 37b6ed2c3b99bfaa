/* Reads, checks and writes the registry's file. It exists so that entries of other languages are
 * kept byte for byte: a JSON library that reads and writes the whole file would change them. */
#include "core/discovery/file.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/number.h"
#include "base/str.h"
#include "core/discovery/own.h"

#define MARK_FIELD "process_start"
/* A peer that writes in place closes the gap within milliseconds. A blank or cut file that nobody
 * changed for the first time, and a closed but faulty one that nobody changed for the second, is
 * what a peer has left. Chosen, not measured. */
#define WRITTEN_NS (2 * MFI_NS_PER_S)
#define MIXED_NS (100 * MFI_NS_PER_MS)

bool mfi_service_id_valid(const char *id)
{
    size_t length = id != NULL ? strnlen(id, MF_SERVICE_ID_MAX) : 0;
    if (length == 0 || length == MF_SERVICE_ID_MAX || !mfi_utf8_valid(id, length)) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        unsigned char at = (unsigned char)id[i];
        unsigned char next = (unsigned char)id[i + 1];
        if (at < 0x20 || at == 0x7f || (at == 0xc2 && next < 0xa0)) { /* C0, DEL, C1 */
            return false;
        }
    }
    return true;
}

/* ---- Parsing ----
 *
 * This file walks the outer object, so that the place of every entry is known. cJSON reads names
 * and values, and bounds the depth. */

typedef struct cursor {
    const char *at, *end;
} cursor;

static void skip_blanks(cursor *from)
{
    while (from->at < from->end &&
           (*from->at == ' ' || *from->at == '\t' || *from->at == '\r' || *from->at == '\n')) {
        from->at++;
    }
}

static bool take(cursor *from, char wanted)
{
    skip_blanks(from);
    bool found = from->at < from->end && *from->at == wanted;
    from->at += found ? 1 : 0;
    return found;
}

/* NULL on failure: the cursor is then at what cannot be read. */
static cJSON *take_value(cursor *from)
{
    const char *stop = from->at;
    skip_blanks(from);
    mfi_plain_numbers plain;
    mfi_plain_numbers_enter(&plain);
    cJSON *value =
        cJSON_ParseWithLengthOpts(from->at, (size_t)(from->end - from->at), &stop, false);
    mfi_plain_numbers_leave(&plain);
    from->at = stop > from->at ? stop : from->at;
    return value;
}

static bool read_whole(const cJSON *object, const char *name, double least, double most,
                       int64_t *ret_value)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= least && item->valuedouble <= most) ||
        (double)(int64_t)item->valuedouble != item->valuedouble) {
        return false;
    }
    *ret_value = (int64_t)item->valuedouble;
    return true;
}

static const char *read_text(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text != NULL && mfi_utf8_valid(text, strlen(text)) ? text : NULL;
}

static void read_service(mfi_registry_entry *entry, const cJSON *value)
{
    int64_t port = 0;
    mf_service *service = &entry->service;
    *service = (mf_service)MF_SERVICE_INIT;
    if (entry->id[0] == '\0' || !cJSON_IsObject(value) ||
        !read_whole(value, "port", 1, UINT16_MAX, &port) ||
        !read_whole(value, "pid", 1, INT32_MAX, &service->pid)) {
        return;
    }
    const char *started = read_text(value, "started");
    const char *start_time = read_text(value, "start_time"); /* Go's name for it */
    const char *mark = read_text(value, MARK_FIELD);
    started = started != NULL ? started : start_time;
    (void)mfi_str_copy(service->id, sizeof service->id, entry->id);
    (void)mfi_str_copy(service->started, sizeof service->started, started != NULL ? started : "");
    (void)mfi_str_copy(entry->mark, sizeof entry->mark, mark != NULL ? mark : "");
    service->port = (uint16_t)port;
    entry->is_service = true;
}

bool mfi_registry_entry_alive(mfi_registry_entry *entry)
{
    const mf_service *service = &entry->service;
    bool alive = entry->is_service && mfi_process_alive(service->pid, entry->mark);
    /* In a container every life of a service has the same pid. */
    if (alive && service->pid == getpid()) {
        alive = mfi_registry_own_has(service->id, service->port);
    }
    entry->service.alive = alive;
    return entry->service.alive;
}

/* A name that cJSON returns ends at a NUL, which only an escape can hide. No service has such a
 * name. */
static void read_id(mfi_registry_entry *entry, const cJSON *name, size_t name_length)
{
    if (mfi_service_id_valid(name->valuestring) &&
        memmem(entry->text, name_length, "\\u0000", 6) == NULL) {
        (void)mfi_str_copy(entry->id, sizeof entry->id, name->valuestring);
    }
}

/* Reads one member; false on failure, with the cursor at the fault. entry NULL: only checks. */
static bool take_member(cursor *from, mfi_registry_entry *entry)
{
    skip_blanks(from);
    const char *start = from->at;
    bool is_name = from->at < from->end && *from->at == '"';
    cJSON *name = is_name ? take_value(from) : NULL;
    size_t name_length = (size_t)(from->at - start);
    cJSON *value = name != NULL && take(from, ':') ? take_value(from) : NULL;
    bool good = value != NULL;
    if (good && entry != NULL) {
        *entry = (mfi_registry_entry){.text = start, .length = (size_t)(from->at - start)};
        read_id(entry, name, name_length);
        read_service(entry, value);
    }
    cJSON_Delete(name);
    cJSON_Delete(value);
    return good;
}

/* Walks the whole text; false on failure, with the cursor at the fault. */
static bool check(cursor *from)
{
    const char *nul = memchr(from->at, '\0', (size_t)(from->end - from->at));
    if (nul != NULL) { /* a NUL would cut texts short */
        from->at = nul;
        return false;
    }
    if (!take(from, '{')) {
        return false;
    }
    if (!take(from, '}')) {
        do {
            if (!take_member(from, NULL)) {
                return false;
            }
        } while (take(from, ','));
        if (!take(from, '}')) {
            return false;
        }
    }
    skip_blanks(from);
    return from->at == from->end;
}

/* True if the text opens more than it closes: an object that was cut at some byte. */
static bool is_cut(cursor from)
{
    size_t depth = 0;
    bool in_text = false;
    skip_blanks(&from);
    if (from.at < from.end && *from.at != '{') {
        return false;
    }
    for (; from.at < from.end; from.at++) {
        if (in_text && *from.at == '\\') {
            from.at += from.at + 1 < from.end ? 1 : 0;
        } else if (*from.at == '"') {
            in_text = !in_text;
        } else if (!in_text && (*from.at == '{' || *from.at == '[')) {
            depth++;
        } else if (!in_text && (*from.at == '}' || *from.at == ']') && depth > 0) {
            depth--;
        }
    }
    return in_text || depth > 0;
}

static bool is_blank(cursor from)
{
    skip_blanks(&from);
    return from.at == from.end;
}

bool mfi_registry_file_next(mfi_registry_file *file, mfi_registry_entry *ret_entry)
{
    cursor from = {.at = file->text + file->next, .end = file->text + file->length};
    if (file->length == 0) {
        return false;
    }
    (void)take(&from, file->next == 0 ? '{' : ',');
    bool found = take_member(&from, ret_entry);
    file->next = (size_t)(from.at - file->text);
    return found;
}

/* ---- Reading ---- */

static mf_status look_at(mfi_registry_file *file, int fd, const mfi_registry_dir *dir,
                         struct stat *ret_facts, mf_error *error)
{
    char what[PATH_MAX];
    if (fstat(fd, ret_facts) != 0 || !S_ISREG(ret_facts->st_mode)) {
        return mfi_fail(error, MF_ERR_IO, "'%s/%s' is not a file", dir->path, MFI_REGISTRY_FILE);
    }
    file->exists = true;
    file->device = ret_facts->st_dev;
    file->inode = ret_facts->st_ino;
    file->changed = ret_facts->st_mtim;
    file->touched = ret_facts->st_ctim;
    (void)mfi_str_format(what, sizeof what, "'%s/%s'", dir->path, MFI_REGISTRY_FILE);
    return mfi_registry_check_trust(ret_facts, dir->is_closed, what, error);
}

static mf_status read_all(mfi_registry_file *file, int fd, const mfi_registry_dir *dir,
                          mf_error *error)
{
    struct stat facts;
    mf_status status = look_at(file, fd, dir, &facts, error);
    if (status != MF_OK) {
        return status;
    }
    size_t room = (size_t)facts.st_size < MFI_REGISTRY_FILE_MAX ? (size_t)facts.st_size
                                                                : MFI_REGISTRY_FILE_MAX;
    file->text = malloc(room + 1);
    if (file->text == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for %zu bytes of '%s/%s'", room,
                        dir->path, MFI_REGISTRY_FILE);
    }
    ssize_t got = 1;
    while (file->length < room && got > 0) {
        got = read(fd, file->text + file->length, room - file->length);
        if (got < 0 && errno == EINTR) {
            got = 1;
        } else if (got < 0) {
            return mfi_fail_errno(error, MF_ERR_IO, errno, "cannot read '%s/%s'", dir->path,
                                  MFI_REGISTRY_FILE);
        } else {
            file->length += (size_t)got;
        }
    }
    if ((size_t)facts.st_size > MFI_REGISTRY_FILE_MAX) {
        file->shape = MFI_REGISTRY_DAMAGED;
        return mfi_fail(error, MF_ERR_PROTOCOL,
                        "'%s/%s' goes on after byte %zu, the most it may have", dir->path,
                        MFI_REGISTRY_FILE, MFI_REGISTRY_FILE_MAX);
    }
    return MF_OK;
}

mf_status mfi_registry_file_load(mfi_registry_file *ret_file, const mfi_registry_dir *dir,
                                 mf_error *error)
{
    *ret_file = (mfi_registry_file){.exists = false};
    /* Non-blocking, because the name may belong to a pipe. */
    int fd = openat(dir->fd, MFI_REGISTRY_FILE, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        return MF_OK;
    }
    if (fd < 0) {
        return mfi_fail_errno(error, MF_ERR_IO, errno, "cannot open '%s/%s'", dir->path,
                              MFI_REGISTRY_FILE);
    }
    mf_status status = read_all(ret_file, fd, dir, error);
    (void)close(fd);
    cursor all = {.at = ret_file->text, .end = ret_file->text + ret_file->length};
    ret_file->size = ret_file->length;
    if (status == MF_OK && is_blank(all)) {
        ret_file->shape = MFI_REGISTRY_BLANK;
        ret_file->length = 0;
    } else if (status == MF_OK && !check(&all)) {
        cursor text = {.at = ret_file->text, .end = all.end};
        ret_file->shape = is_cut(text) ? MFI_REGISTRY_CUT : MFI_REGISTRY_DAMAGED;
        status = mfi_fail(
            error, MF_ERR_PROTOCOL, "'%s/%s' is not a registry: %s at byte %zu of %zu", dir->path,
            MFI_REGISTRY_FILE, all.at == all.end ? "it ends too early" : "unexpected text",
            (size_t)(all.at - ret_file->text), ret_file->length);
    }
    if (status != MF_OK) {
        free(ret_file->text);
        ret_file->text = NULL;
        ret_file->length = 0;
        ret_file->exists = false;
    }
    return status;
}

mfi_registry_doubt mfi_registry_file_doubt(const mfi_registry_file *file)
{
    uint64_t age = mfi_age_ns(&file->changed);
    if (file->shape == MFI_REGISTRY_WHOLE) {
        return MFI_REGISTRY_SURE;
    }
    if (age < (file->shape == MFI_REGISTRY_DAMAGED ? MIXED_NS : WRITTEN_NS)) {
        return MFI_REGISTRY_WRITTEN;
    }
    return file->shape == MFI_REGISTRY_CUT ? MFI_REGISTRY_TORN : MFI_REGISTRY_SURE;
}

mf_status mfi_registry_file_fail_blank(const mfi_registry_file *file, const mfi_registry_dir *dir,
                                       mf_error *error)
{
    return mfi_fail(error, MF_ERR_PROTOCOL,
                    "'%s/%s' is not a registry: it ends too early at byte %zu of %zu", dir->path,
                    MFI_REGISTRY_FILE, file->size, file->size);
}

void mfi_registry_file_unload(mfi_registry_file *file)
{
    free(file->text);
    *file = (mfi_registry_file){.exists = false};
}

bool mfi_registry_file_current(const mfi_registry_file *file, const mfi_registry_dir *dir)
{
    struct stat facts;
    if (fstatat(dir->fd, MFI_REGISTRY_FILE, &facts, 0) != 0) {
        return !file->exists;
    }
    return file->exists && facts.st_dev == file->device && facts.st_ino == file->inode &&
           facts.st_mtim.tv_sec == file->changed.tv_sec &&
           facts.st_mtim.tv_nsec == file->changed.tv_nsec &&
           facts.st_ctim.tv_sec == file->touched.tv_sec &&
           facts.st_ctim.tv_nsec == file->touched.tv_nsec && (size_t)facts.st_size == file->size;
}

/* ---- Writing ---- */

void mfi_registry_text_begin(mfi_buf *text)
{
    mfi_buf_append_byte(text, '{');
}

static void separate(mfi_buf *text)
{
    mfi_buf_append_str(text, text->size > 1 ? ",\n  " : "\n  ");
}

void mfi_registry_text_keep(mfi_buf *text, const mfi_registry_entry *entry)
{
    separate(text);
    mfi_buf_append(text, entry->text, entry->length);
}

/* Writes all names that any of the languages reads. */
void mfi_registry_text_add(mfi_buf *text, const char *id, uint16_t port, int64_t pid)
{
    char now[40];
    char mark[MFI_PROCESS_MARK_MAX];
    (void)mfi_format_rfc3339(now, sizeof now, mfi_wall_ns(), 3);
    mfi_process_mark(pid, mark);
    separate(text);
    mfi_buf_append_byte(text, '"');
    mfi_str_append_json(text, id, strlen(id));
    mfi_buf_printf(text,
                   "\": {\n    \"port\": %u,\n    \"pid\": %lld,\n    \"started\": \"%s\",\n"
                   "    \"start_time\": \"%s\",\n    \"" MARK_FIELD "\": \"%s\"\n  }",
                   (unsigned)port, (long long)pid, now, now, mark);
}

void mfi_registry_text_end(mfi_buf *text)
{
    mfi_buf_append_str(text, text->size > 1 ? "\n}\n" : "}\n");
}
