/* What a program shows of itself, for tests of parents: its pages and its log. */
#ifndef TESTS_INTEGRATION_PAGES_H
#define TESTS_INTEGRATION_PAGES_H

#include <stddef.h>
#include <stdint.h>

/* Asks the HTTP server at the port for a page. to: the answer with its head, cut to the size.
 * Returns the page's status, or 0. */
int get_page(uint16_t port, const char *path, char *to, size_t size);
/* The whole file, cut to the size. */
void read_whole(const char *path, char *to, size_t size);

#endif
