/* Reads pages and logs as a user's tools do: over the network and from the file. It exists apart
 * from parents.c because a test may look at a program that has no parent. */
#include "pages.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mf_test.h"

int get_page(uint16_t port, const char *path, char *to, size_t size)
{
    char request[256];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    mf_check_int(connect(fd, (const struct sockaddr *)(const void *)&address, sizeof address), 0);
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
    mf_check_int(send(fd, request, (size_t)length, 0), length);
    size_t used = 0;
    ssize_t got = 0;
    while ((got = recv(fd, to + used, size - 1 - used, 0)) > 0) {
        used += (size_t)got;
    }
    to[used] = '\0';
    (void)close(fd);
    return used > 12 ? atoi(to + 9) : 0; /* behind "HTTP/1.1 " */
}

void read_whole(const char *path, char *to, size_t size)
{
    FILE *file = fopen(path, "re");
    mf_check(file != NULL);
    size_t used = file != NULL ? fread(to, 1, size - 1, file) : 0;
    to[used] = '\0';
    if (file != NULL) {
        (void)fclose(file);
    }
}
