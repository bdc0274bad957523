#!/bin/sh
d=@FOLDER@
c=${SSH_ORIGINAL_COMMAND#sudo -n -- }
printf '%s\n' "$c" >>"$d/commands"
if [ -f "$d/stop" ]; then
    case "$c" in *"$(cat "$d/stop")"*)
        # The computer that sent this command ends now, before or after its effect.
        if [ -f "$d/stop-after" ]; then
            rm -f "$d/stop"
            SSH_ORIGINAL_COMMAND=$c "$0"
        fi
        rm -f "$d/stop"
        touch "$d/stopped"
        exec sleep 20 ;;
    esac
fi
case "$c" in
*free_root*)
    printf '%s\n' kernel=Linux "machine=$(uname -m)" uid=0 boot_id=b systemd=yes cloud_init=yes \
        free_root=9000000 free_var=9000000 'os=Debian GNU/Linux 12 (bookworm)' "clock=$(date +%s)"
    if [ -f "$d/root/machine.json" ] && [ -f "$d/root/config.json" ]; then
        printf 'server=%s\n' "$(tr -d '\n' <"$d/root/machine.json")"
    fi
    exit 0 ;;
cloud-init*) echo 'status: done'; exit 0 ;;
esac
c=$(printf '%s' "$c" | sed "s#/etc/ssh#$d/ssh#g; s#/usr/local/#$d/usr/local/#g; s#/var/backups/cloudron#$d/backups#g")
case "$c" in
*bin/cloudron\ box\ install*)
    sed -E "s#\"supervisor\":\"systemd\"#\"supervisor\":\"detached\"#
        s#\"listen\":\[(\"[^\"]*\",?)*\]#\"listen\":[\"127.0.0.1:0\"]#
        s#file:///var/backups/cloudron#file://$d/backups#" | sh -c "$c --root $d/root"
    exit ;;
*bin/cloudron\ box\ *) c="$c --root $d/root" ;;
esac
PATH=$d/bin:$PATH exec sh -c "$c"
