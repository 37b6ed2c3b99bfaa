/* Peers that are plain TCP sockets, whose bytes a test sends by hand. While one of these functions
 * waits, it drives all open ends, as those of direct_peer.h do. */
#ifndef RAW_PEER_H
#define RAW_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GREETING "\xFF\0\0\0\0\0\0\0\1\x7F"
#define ZEROS_16 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define NULL_MECHANISM GREETING "\3\1NULL" ZEROS_16 ZEROS_16 ZEROS_16
#define READY_DEALER "\4\x1C\5READY\13Socket-Type\0\0\0\6DEALER"

#define RAW_BYTES(text) (text), sizeof(text) - 1

int raw_connect(uint16_t port);
/* A port at which nobody listens. While the descriptor is open the kernel gives it to nobody, but a
 * transport that asks for it may bind it. */
int raw_hold_port(uint16_t *ret_port);
int raw_listen(uint16_t *ret_port);
int raw_accept(int listener); /* waits for it */
/* Waits until it is written. */
void raw_send(int fd, const void *bytes, size_t size);
void raw_greet(int fd); /* greeting alone */
void raw_ready(int fd, const char *socket_type);
/* Waits for that many bytes. */
void raw_read(int fd, uint8_t *bytes, size_t size);
/* Greets, says READY and reads what the other side says. */
void raw_handshake(int fd, const char *socket_type);
void raw_expect(int fd, const void *bytes, size_t size);
/* Waits until the other side has closed the connection; what comes before is read. */
bool raw_is_dropped(int fd);
/* The descriptor at the other end of it, which is this process's too. */
int raw_other_end(int fd);

#endif
