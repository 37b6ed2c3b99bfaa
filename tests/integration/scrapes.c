/* Reads a scrape line by line: see scrapes.h. */
#include "scrapes.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mf_test.h"

typedef struct sample {
    const char *line;
    size_t length; /* of name and labels */
    double value;
} sample;

static size_t name_size(const char *at)
{
    return strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:");
}

/* Behind a quoted value; NULL if it is malformed. */
static const char *skip_value(const char *at)
{
    for (; *at != '"'; at++) {
        if (*at == '\\' && strchr("\\\"n", *++at) == NULL) {
            return NULL;
        }
        if ((unsigned char)*at == '\n' || *at == '\0') {
            return NULL;
        }
    }
    return at + 1;
}

static const char *skip_labels(const char *at)
{
    while (at != NULL && *at++ != '}') { /* of '{' or ',' */
        size_t size = name_size(at);
        if (size == 0 || strncmp(at + size, "=\"", 2) != 0) {
            return NULL;
        }
        at = skip_value(at + size + 2);
        if (at != NULL && *at != ',' && *at != '}') {
            return NULL;
        }
    }
    return at;
}

static bool read_sample(const char *line, sample *to)
{
    char *end = NULL;
    const char *at = line + name_size(line);
    at = at > line && *at == '{' ? skip_labels(at) : at;
    if (at == NULL || at == line || *at != ' ') {
        return false;
    }
    *to = (sample){.line = line, .length = (size_t)(at - line), .value = strtod(at + 1, &end)};
    return end > at + 1 && *end == '\n';
}

static int compare(const sample *a, const sample *b)
{
    size_t both = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->line, b->line, both);
    return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

static int compare_any(const void *a, const void *b)
{
    return compare(a, b);
}

/* The samples, sorted by name and labels; each series is there once. The caller frees them. */
static sample *read_all(const char *text, size_t *ret_count)
{
    size_t most = 1;
    size_t n = 0;
    for (const char *c = text; *c != '\0'; c++) {
        most += *c == '\n';
    }
    sample *all = calloc(most, sizeof *all);
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        if (strncmp(line, "# HELP ", 7) != 0 && strncmp(line, "# TYPE ", 7) != 0) {
            bool is_one = read_sample(line, &all[n]);
            mf_check(is_one);
            if (!is_one) {
                (void)fprintf(stderr, "%.200s\n", line);
                break;
            }
            n++;
        }
    }
    qsort(all, n, sizeof *all, compare_any);
    for (size_t i = 1; i < n; i++) {
        mf_check(compare(&all[i - 1], &all[i]) != 0);
    }
    *ret_count = n;
    return all;
}

static bool is_counter(const sample *at)
{
    static const char *const ends[] = {"_total", "_count", "_bucket", "_sum"};
    size_t size = name_size(at->line);
    bool found = false;
    for (size_t i = 0; i < 4; i++) {
        size_t length = strlen(ends[i]);
        found = found || (size > length && memcmp(at->line + size - length, ends[i], length) == 0);
    }
    return found;
}

/* The buckets of a histogram are cumulative, in the order of the text. */
static void check_buckets(const char *text)
{
    double last = 0;
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        size_t size = name_size(line);
        sample at;
        if (size > 7 && memcmp(line + size - 7, "_bucket", 7) == 0 && read_sample(line, &at)) {
            mf_check(at.value >= last);
            last = memcmp(at.line + at.length - 6, "+Inf\"}", 6) == 0 ? 0 : at.value;
        }
    }
}

static void check_monotonic(const char *before, const char *now)
{
    size_t counts[2];
    sample *was = read_all(before, &counts[0]);
    sample *is = read_all(now, &counts[1]);
    for (size_t i = 0; i < counts[0]; i++) {
        if (!is_counter(&was[i])) {
            continue;
        }
        const sample *found = bsearch(&was[i], is, counts[1], sizeof *is, compare_any);
        bool grows = found != NULL && found->value >= was[i].value && isfinite(found->value);
        mf_check(grows);
        if (!grows) {
            (void)fprintf(stderr, "%.*s was %g\n", (int)was[i].length, was[i].line, was[i].value);
        }
    }
    free(was);
    free(is);
}

void check_scrape(const char *text, const char *before)
{
    check_buckets(text);
    check_monotonic(before != NULL ? before : text, text);
}
