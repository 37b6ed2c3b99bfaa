/* The file as it was read last: when it is read anew, and what is found in it. */
#include "core/discovery/cache.h"

#include "registry_support.h"

#define SERVICE(port) "{\"port\":" #port ",\"pid\":1}"

static void begin(mfi_registry_cache *cache, const char *text)
{
    *cache = (mfi_registry_cache){.filled = false};
    mf_registry_destroy(open_registry(0)); /* for the folder's name */
    write_text(MFI_REGISTRY_FILE, text);
    make_older(MFI_REGISTRY_FILE, 60); /* a change that long ago leaves its trace */
}

/* The port of the entry of that name, 0 if there is none. */
static int port_of(mfi_registry_cache *cache, const char *id)
{
    mfi_registry_entry entry;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mfi_registry_cache_find(cache, folder, id, &entry, &error), MF_OK);
    mf_check_str(error.message, "");
    mf_check_str(entry.id, entry.is_service ? id : "");
    return entry.is_service ? entry.service.port : 0;
}

static void test_entries_are_found_by_name(void)
{
    mfi_registry_cache cache;
    begin(&cache, "{\"a\":" SERVICE(1) ",\"b\":" SERVICE(2) ",\"c\":" SERVICE(3) ",\"a\":" SERVICE(
                      4) ",\"d\":" SERVICE(5) "}");
    mf_check_int(port_of(&cache, "b"), 2);
    mf_check_int(port_of(&cache, "d"), 5);
    mf_check_int(port_of(&cache, "c"), 3);
    mf_check_int(port_of(&cache, "a"), 4); /* the last of several */
    mf_check_int(port_of(&cache, "e"), 0);
    mf_check_int(cache.count, 5);
    mfi_registry_cache_clear(&cache);
    mf_check(!cache.filled && cache.places == NULL && cache.count == 0);
}

/* Names that share a hash are told apart by their text. */
static void test_equal_hashes_do_not_mix_names_up(void)
{
    mfi_registry_cache cache;
    begin(&cache, "{\"a\":" SERVICE(1) ",\"b\":" SERVICE(2) "}");
    mf_check_int(port_of(&cache, "a"), 1);
    cache.places[1].hash = cache.places[0].hash;
    mf_check_int(port_of(&cache, "a"), 1);
    cache.places[0].hash++;
    mf_check_int(port_of(&cache, "a"), 0);
    mfi_registry_cache_clear(&cache);
}

/* What the cache has in memory is changed here, so that a look into it is told from a reading. */
static void test_an_unchanged_file_is_read_once(void)
{
    mfi_registry_cache cache;
    begin(&cache, "{\"a\":" SERVICE(1) "}");
    mf_check_int(port_of(&cache, "a"), 1);
    mf_check(cache.filled);
    *strchr(cache.file.text, '1') = '7';
    mf_check_int(port_of(&cache, "a"), 7);
    mfi_registry_cache_clear(&cache);
    mf_check_int(port_of(&cache, "a"), 1);
    mfi_registry_cache_clear(&cache);
}

static void test_a_changed_file_is_read_anew(void)
{
    mfi_registry_cache cache;
    begin(&cache, "{\"a\":" SERVICE(1) "}");
    mf_check_int(port_of(&cache, "a"), 1);
    write_text(MFI_REGISTRY_FILE, "{\"b\":" SERVICE(2) ",\"a\":" SERVICE(3) "}");
    mf_check_int(port_of(&cache, "a"), 3);
    mf_check_int(port_of(&cache, "b"), 2);
    mf_check_int(unlink(path_of(MFI_REGISTRY_FILE)), 0);
    mf_check_int(port_of(&cache, "a"), 0);
    mf_check_int(cache.count, 0);
    mfi_registry_cache_clear(&cache);
}

/* A file that was just changed may be changed again under the same time stamp. The time of this
 * file lies ahead, so that it stays young however long the test takes. */
static void test_a_young_file_is_not_kept(void)
{
    mfi_registry_cache cache;
    begin(&cache, "{\"a\":" SERVICE(1) "}");
    make_older(MFI_REGISTRY_FILE, -3600);
    mf_check_int(port_of(&cache, "a"), 1);
    mf_check(!cache.filled);
    *strchr(cache.file.text, '1') = '7';
    mf_check_int(port_of(&cache, "a"), 1);
    mfi_registry_cache_clear(&cache);
}

static void check_fails(mfi_registry_cache *cache, mf_status wanted)
{
    mfi_registry_entry entry;
    mf_check_int(mfi_registry_cache_find(cache, folder, "a", &entry, NULL), wanted);
    mf_check(!cache->filled && cache->count == 0);
    mf_check(cache->places == NULL && cache->file.text == NULL);
}

static void test_a_failure_leaves_nothing_of_before(void)
{
    mfi_registry_cache cache;
    begin(&cache, "{\"a\":" SERVICE(1) "}");
    mf_check_int(port_of(&cache, "a"), 1);
    write_text(MFI_REGISTRY_FILE, "{\"a\":");
    check_fails(&cache, MF_ERR_PROTOCOL);
    write_text(MFI_REGISTRY_FILE, "{\"a\":" SERVICE(2) "}");
    mf_check_int(port_of(&cache, "a"), 2);
    mf_check_int(unlink(path_of(MFI_REGISTRY_FILE)), 0);
    mf_check_int(rmdir(folder), 0);
    check_fails(&cache, MF_ERR_NOT_FOUND);
}

static const mf_test tests[] = {
    {"cache__entries_are_found_by_name", test_entries_are_found_by_name},
    {"cache__equal_hashes_do_not_mix_names_up", test_equal_hashes_do_not_mix_names_up},
    {"cache__an_unchanged_file_is_read_once", test_an_unchanged_file_is_read_once},
    {"cache__a_changed_file_is_read_anew", test_a_changed_file_is_read_anew},
    {"cache__a_young_file_is_not_kept", test_a_young_file_is_not_kept},
    {"cache__a_failure_leaves_nothing_of_before", test_a_failure_leaves_nothing_of_before},
};

MF_TEST_MAIN(tests)
