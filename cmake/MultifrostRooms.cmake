# mf_room(name FOLDER folder SOURCES ... USES rooms... LIBS targets...)
#
# A room is an object library whose include path holds only itself and the rooms it uses. Internal
# headers are included as "base/clock.h". The root of the source tree would open every room, so each
# room has a view: a folder in the build tree with one link to it. A room sees its own view and
# those of the rooms it names in USES. It passes on only include/ folders, its own and those of its
# USES, so that a room does not see the internal headers of rooms that it does not name.
#
# The global property MF_ROOMS lists the rooms, lower ones first. The target mf_<name> has the
# properties MF_FOLDER, MF_VIEW, MF_USES and MF_LIBS.
function(mf_room name)
    cmake_parse_arguments(ROOM "" "FOLDER" "SOURCES;USES;LIBS" ${ARGN})
    set(view "${CMAKE_BINARY_DIR}/walls/${name}")
    get_filename_component(parent "${view}/${ROOM_FOLDER}" DIRECTORY)
    file(MAKE_DIRECTORY "${parent}")
    file(CREATE_LINK "${PROJECT_SOURCE_DIR}/${ROOM_FOLDER}" "${view}/${ROOM_FOLDER}" SYMBOLIC)
    set_property(GLOBAL APPEND PROPERTY MF_ROOMS ${name})
    if(NOT ROOM_SOURCES) # only headers: nothing to compile, only a view
        add_library(mf_${name} INTERFACE)
        set_target_properties(mf_${name} PROPERTIES MF_FOLDER "${ROOM_FOLDER}" MF_VIEW "${view}"
            MF_USES "${ROOM_USES}" MF_LIBS "")
        return()
    endif()
    add_library(mf_${name} OBJECT ${ROOM_SOURCES})
    set_target_properties(mf_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON
        MF_FOLDER "${ROOM_FOLDER}" MF_VIEW "${view}" MF_USES "${ROOM_USES}" MF_LIBS "${ROOM_LIBS}")
    if(EXISTS "${PROJECT_SOURCE_DIR}/${ROOM_FOLDER}/include")
        target_include_directories(mf_${name} PUBLIC "${PROJECT_SOURCE_DIR}/${ROOM_FOLDER}/include")
    endif()
    foreach(used IN LISTS ROOM_USES)
        target_include_directories(mf_${name} INTERFACE
            $<TARGET_PROPERTY:mf_${used},INTERFACE_INCLUDE_DIRECTORIES>)
    endforeach()
    mf_see_room(mf_${name} ${name})
    target_link_libraries(mf_${name} PRIVATE mf_warnings Threads::Threads ${ROOM_LIBS})
endfunction()

# mf_objects(out rooms...): the objects of the rooms. A room of headers has none.
function(mf_objects out)
    set(objects "")
    foreach(room IN LISTS ARGN)
        get_property(type TARGET mf_${room} PROPERTY TYPE)
        if(type STREQUAL OBJECT_LIBRARY)
            list(APPEND objects $<TARGET_OBJECTS:mf_${room}>)
        endif()
    endforeach()
    set(${out} ${objects} PARENT_SCOPE)
endfunction()

# mf_see_room(target room): lets the target see what the room sees.
function(mf_see_room target room)
    get_property(used TARGET mf_${room} PROPERTY MF_USES)
    foreach(each IN LISTS room used)
        target_include_directories(${target} PRIVATE $<TARGET_PROPERTY:mf_${each},MF_VIEW>
            $<TARGET_PROPERTY:mf_${each},INTERFACE_INCLUDE_DIRECTORIES>)
    endforeach()
endfunction()

# mf_closure(out rooms...): the rooms, the rooms that they use, and so on; each once.
function(mf_closure out)
    set(open ${ARGN})
    set(closure "")
    while(open)
        list(POP_FRONT open room)
        if(NOT room IN_LIST closure)
            list(APPEND closure ${room})
            get_property(used TARGET mf_${room} PROPERTY MF_USES)
            list(APPEND open ${used})
        endif()
    endwhile()
    set(${out} ${closure} PARENT_SCOPE)
endfunction()

# mf_link_rooms(target rooms...): a program that sees what the rooms see. It is linked with the
# objects and libraries of the rooms and of all rooms below, so that it can call hidden functions.
function(mf_link_rooms target)
    foreach(room IN LISTS ARGN)
        mf_see_room(${target} ${room})
    endforeach()
    mf_closure(rooms ${ARGN})
    foreach(each IN LISTS rooms)
        get_property(libraries TARGET mf_${each} PROPERTY MF_LIBS)
        mf_objects(objects ${each})
        target_sources(${target} PRIVATE ${objects})
        target_link_libraries(${target} PRIVATE ${libraries})
    endforeach()
    target_link_libraries(${target} PRIVATE mf_warnings Threads::Threads m)
endfunction()
