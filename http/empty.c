typedef int mfi_http_room_is_empty;
