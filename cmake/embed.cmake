# cmake -DOUT=page_files.c -DFOLDER=http/page -P embed.cmake: the files of the status page as C.
set(text "/* Made by cmake/embed.cmake. */\n#include \"http/page_files.h\"\n")
foreach(pair "html=index.html" "css=page.css" "js=page.js")
    string(REGEX MATCH "^([a-z]+)=(.*)$" unused "${pair}")
    set(name "${CMAKE_MATCH_1}")
    file(READ "${FOLDER}/${CMAKE_MATCH_2}" hex HEX)
    string(LENGTH "${hex}" digits)
    math(EXPR size "${digits} / 2")
    string(REGEX REPLACE "(................................)" "\\1\n    " hex "${hex}")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
    string(APPEND text "\nstatic const unsigned char ${name}[] = {\n    ${hex}0x00};\n"
        "const mfi_page_file mfi_page_${name} = {(const char *)${name}, ${size}};\n")
endforeach()
file(WRITE "${OUT}" "${text}")
