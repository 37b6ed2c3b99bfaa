/* A page's JSON under construction. What does not get its memory is remembered, so that no page
 * goes out with a part left out. */
#ifndef MFI_HTTP_JSON_H
#define MFI_HTTP_JSON_H

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/number.h"
#include "base/str.h"
#include "http/pages.h"

/* An object or an array, and the flag of the whole page. item is NULL where there was no memory;
 * everything that is added to it fails as well. */
typedef struct mfi_json {
    cJSON *item;
    bool *failed;
} mfi_json;

/* item was added to another one, or NULL. */
static inline mfi_json mfi_json_part(mfi_json of, cJSON *item)
{
    *of.failed |= item == NULL;
    return (mfi_json){.item = item, .failed = of.failed};
}

/* NULL adds nothing. U+FFFD replaces malformed UTF-8, which is no JSON. */
static inline void mfi_json_text(mfi_json to, const char *name, const char *text)
{
    if (text == NULL) {
        return;
    }
    mfi_buf clean;
    mfi_buf_init(&clean, 0);
    if (!mfi_utf8_valid(text, strlen(text))) {
        mfi_utf8_append_clean(&clean, text, strlen(text));
        mfi_buf_append_byte(&clean, 0);
        *to.failed |= clean.failed;
        text = clean.failed ? "" : (const char *)clean.data;
    }
    (void)mfi_json_part(to, cJSON_AddStringToObject(to.item, name, text));
    mfi_buf_fini(&clean);
}

static inline void mfi_json_number(mfi_json to, const char *name, double number)
{
    char text[40]; /* not by cJSON, which writes up to 17 digits */
    (void)mfi_format_measured(text, sizeof text, number);
    (void)mfi_json_part(to, isfinite(number) ? cJSON_AddRawToObject(to.item, name, text)
                                             : cJSON_AddNullToObject(to.item, name));
}

static inline void mfi_json_time(mfi_json to, const char *name, uint64_t wall_ns)
{
    char time[40];
    (void)mfi_format_rfc3339(time, sizeof time, wall_ns, 3);
    mfi_json_text(to, name, time);
}

static inline mfi_json mfi_json_object(mfi_json to, const char *name)
{
    return mfi_json_part(to, cJSON_AddObjectToObject(to.item, name));
}

static inline mfi_json mfi_json_array(mfi_json to, const char *name)
{
    return mfi_json_part(to, cJSON_AddArrayToObject(to.item, name));
}

/* One more text of an array. */
static inline void mfi_json_text_entry(mfi_json array, const char *text)
{
    cJSON *entry = cJSON_CreateString(text);
    if (entry == NULL || array.item == NULL || !cJSON_AddItemToArray(array.item, entry)) {
        cJSON_Delete(entry);
        *array.failed = true;
    }
}

/* One more object of an array. */
static inline mfi_json mfi_json_entry(mfi_json array)
{
    cJSON *entry = cJSON_CreateObject();
    if (entry != NULL && !cJSON_AddItemToArray(array.item, entry)) {
        cJSON_Delete(entry);
        entry = NULL;
    }
    return mfi_json_part(array, entry);
}

/* The body of the page: none if anything failed. */
static inline void mfi_json_print(mfi_json all, mfi_page *page, const char *type)
{
    page->body = *all.failed ? NULL : cJSON_PrintUnformatted(all.item);
    page->size = page->body != NULL ? strlen(page->body) : 0;
    (void)mfi_str_copy(page->type, sizeof page->type, type);
}

#endif
