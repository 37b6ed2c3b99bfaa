/* Reads request targets, Host headers and names of headers. libmicrohttpd hands out a path that is
 * decoded already, in which %00 is the end and an absolute target stands whole; so the raw text is
 * read here. */
#include "http/url.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

static void refuse(mfi_url *target, int code, const char *why)
{
    target->refusal = code;
    target->why = why;
}

/* The path of an absolute target: behind "http://host:port". NULL for another scheme, and without a
 * host. */
static const char *skip_authority(const char *raw)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t length = strlen(schemes[i]);
        if (strncasecmp(raw, schemes[i], length) == 0) {
            const char *authority = raw + length;
            const char *path = authority + strcspn(authority, "/?");
            return path > authority ? path : NULL;
        }
    }
    return NULL;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The byte at `at`, decoded; *ret_size is the length of its text. A % without two digits stands
 * for itself. */
static unsigned char decode(const char *at, size_t *ret_size)
{
    int high = at[0] == '%' ? hex_digit(at[1]) : -1;
    int low = high >= 0 ? hex_digit(at[2]) : -1;
    *ret_size = low >= 0 ? 3 : 1;
    return low >= 0 ? (unsigned char)(high * 16 + low) : (unsigned char)at[0];
}

static void read_path(mfi_url *target, const char *at)
{
    size_t used = 0;
    size_t size = 0;
    for (; *at != '\0' && *at != '?'; at += size) {
        if (used == MFI_URL_PATH_MAX) {
            refuse(target, 414, "the path is longer than 512 bytes");
            break;
        }
        target->path[used++] = (char)decode(at, &size);
    }
    target->path[used] = '\0';
}

static size_t count_arguments(const char *raw)
{
    const char *query = strchr(raw, '?');
    size_t count = query != NULL && query[1] != '\0' ? 1 : 0;
    for (const char *at = query; at != NULL && *at != '\0'; at++) {
        count += *at == '&' ? 1 : 0;
    }
    return count;
}

void mfi_url_read(mfi_url *ret_target, const char *raw)
{
    *ret_target = (mfi_url){.is_absolute = false};
    const char *path = raw;
    if (raw[0] != '/' && strcmp(raw, "*") != 0) {
        path = skip_authority(raw);
        ret_target->is_absolute = path != NULL;
    }
    if (path == NULL) {
        refuse(ret_target, 400, "the target is neither a path nor an http URL");
        return;
    }
    if (ret_target->is_absolute && *path != '/') { /* "http://host?query" */
        (void)mfi_str_copy(ret_target->path, sizeof ret_target->path, "/");
    } else {
        read_path(ret_target, path);
    }
    if (strstr(raw, "%00") != NULL) {
        refuse(ret_target, 400, "the target has a zero byte (%00)");
    } else if (count_arguments(raw) > MFI_URL_ARGUMENTS_MAX) {
        refuse(ret_target, 400, "the query has more than 64 arguments");
    }
}

static bool is_address(int family, const char *text)
{
    unsigned char address[16];
    return inet_pton(family, text, address) == 1;
}

/* Splits "name:port" or "[address]:port". False if it is neither. */
static bool split_host(const char *host, char *ret_name, size_t size)
{
    bool in_brackets = host[0] == '[';
    const char *begin = host + (in_brackets ? 1 : 0);
    size_t length = strcspn(begin, in_brackets ? "]" : ":");
    const char *end = begin + length;
    if (length >= size || (in_brackets && *end != ']')) {
        return false;
    }
    (void)mfi_str_copy_n(ret_name, size, begin, length);
    end += in_brackets ? 1 : 0;
    bool has_port = *end == ':';
    end += has_port ? 1 : 0;
    return (*end == '\0' || has_port) && end[strspn(end, "0123456789")] == '\0' &&
           (!in_brackets || is_address(AF_INET6, ret_name));
}

mfi_url_host_kind mfi_url_host(const char *host, const char *const *names)
{
    char name[256]; /* a host name has at most 253 bytes */
    if (!split_host(host, name, sizeof name) || name[strcspn(name, " \t/@\\,")] != '\0') {
        return MFI_URL_HOST_BROKEN;
    }
    size_t length = strlen(name);
    if (length > 1 && name[length - 1] == '.') {
        name[length - 1] = '\0'; /* the root of DNS may stand at the end */
    }
    for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
        if (strcasecmp(names[i], name) == 0) {
            return MFI_URL_HOST_LOCAL;
        }
    }
    bool is_local = host[0] == '[' || strchr(name, '.') == NULL || is_address(AF_INET, name);
    return is_local ? MFI_URL_HOST_LOCAL : MFI_URL_HOST_FOREIGN;
}

bool mfi_url_is_token(const char *name)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return name[0] != '\0' && name[strspn(name, token)] == '\0';
}
