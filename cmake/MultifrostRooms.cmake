# mf_room(name FOLDER folder SOURCES ... USES rooms... LIBS targets...)
#
# A room is an object library whose include path holds only itself and the rooms it uses. Internal
# headers are included as "base/clock.h". The root of the source tree would open every room, so each
# room has a view: a folder in the build tree with one link to it, and only the views of what may be
# used are on the path.
# mf_room_closure(RESULT room): the room, what it uses, what those use, and so on.
function(mf_room_closure result)
    set(closure ${ARGN})
    set(open ${ARGN})
    while(open)
        list(POP_FRONT open room)
        get_property(used TARGET mf_${room} PROPERTY MF_USES)
        foreach(each IN LISTS used)
            if(NOT each IN_LIST closure)
                list(APPEND closure ${each})
                list(APPEND open ${each})
            endif()
        endforeach()
    endwhile()
    set(${result} ${closure} PARENT_SCOPE)
endfunction()

function(mf_room name)
    cmake_parse_arguments(ROOM "" "FOLDER" "SOURCES;USES;LIBS" ${ARGN})
    set(view "${CMAKE_BINARY_DIR}/walls/${name}")
    get_filename_component(parent "${view}/${ROOM_FOLDER}" DIRECTORY)
    file(MAKE_DIRECTORY "${parent}")
    file(CREATE_LINK "${PROJECT_SOURCE_DIR}/${ROOM_FOLDER}" "${view}/${ROOM_FOLDER}" SYMBOLIC)
    add_library(mf_${name} OBJECT ${ROOM_SOURCES})
    set_target_properties(mf_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    target_include_directories(mf_${name} PUBLIC "${view}")
    if(EXISTS "${PROJECT_SOURCE_DIR}/${ROOM_FOLDER}/include")
        target_include_directories(mf_${name} PUBLIC "${PROJECT_SOURCE_DIR}/${ROOM_FOLDER}/include")
    endif()
    foreach(used IN LISTS ROOM_USES)
        target_include_directories(mf_${name} PUBLIC
            $<TARGET_PROPERTY:mf_${used},INTERFACE_INCLUDE_DIRECTORIES>)
    endforeach()
    target_link_libraries(mf_${name} PRIVATE mf_warnings Threads::Threads)
    target_link_libraries(mf_${name} PUBLIC ${ROOM_LIBS})
    set_property(TARGET mf_${name} PROPERTY MF_USES "${ROOM_USES}")
    set_property(TARGET mf_${name} PROPERTY MF_LIBS "${ROOM_LIBS}")
endfunction()
