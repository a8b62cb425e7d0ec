"""A SIP endpoint on pjsua2 for one test: commands in, events out, as lines of JSON.

The only argument is the configuration. Each command is an object with `command` and `number`, and is
answered by an event `answer` with that number; everything else that is printed happened by itself.
All of pjsua2 runs in this thread: it calls back only while `libHandleEvents` does.
"""

import json
import os
import select
import sys

import pjsua2 as pj

CONFIG = json.loads(sys.argv[1])
POLL_MS = 10


def emit(event, **values):
    values["event"] = event
    os.write(1, (json.dumps(values) + "\n").encode())


def parameters(status=None, headers=()):
    """What goes with a request or an answer."""
    parameter = pj.CallOpParam(True)
    if status is not None:
        parameter.statusCode = status
    for name, value in headers:
        header = pj.SipHeader()
        header.hName, header.hValue = name, value
        parameter.txOption.headers.append(header)
    parameter.opt.audioCount = 1
    parameter.opt.videoCount = 0
    return parameter


def told(callback):
    """A callback whose errors are told: pjsua2 swallows them."""

    def guarded(self, prm):
        try:
            callback(self, prm)
        except Exception as error:  # Whatever it is, the test has to see it.
            emit("broken", callback=callback.__name__, error=repr(error))

    return guarded


class Log(pj.LogWriter):
    """Tells every SIP message; the rest goes to standard error."""

    def write(self, entry):
        for direction, word in (("received", ".RX "), ("sent", ".TX ")):
            if word in entry.msg and " msg " in entry.msg and "\n" in entry.msg:
                message = entry.msg.split("\n", 1)[1].rsplit("--end msg--", 1)[0]
                emit("message", direction=direction, text=message.replace("\r\n", "\n"))
                return
        os.write(2, entry.msg.encode())


class Call(pj.Call):
    def __init__(self, account, number=pj.PJSUA_INVALID_ID):
        super().__init__(account, number)
        self.account = account

    @told
    def onCallState(self, prm):
        info = self.getInfo()
        emit(
            "call",
            call=info.callIdString,
            state=info.stateText,
            status=info.lastStatusCode,
            reason=info.lastReason,
        )
        if info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self.account.calls.remove(self)

    @told
    def onCallMediaState(self, prm):
        # The list is a part of it: Python must not clear it meanwhile.
        info = self.getInfo()
        for index, media in enumerate(info.media):
            if media.type != pj.PJMEDIA_TYPE_AUDIO:
                continue
            if media.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                audio = self.getAudioMedia(index)
                self.account.player.startTransmit(audio)
                audio.startTransmit(self.account.recorder)
            statuses = {
                pj.PJSUA_CALL_MEDIA_NONE: "none",
                pj.PJSUA_CALL_MEDIA_ACTIVE: "active",
                pj.PJSUA_CALL_MEDIA_LOCAL_HOLD: "held here",
                pj.PJSUA_CALL_MEDIA_REMOTE_HOLD: "held there",
                pj.PJSUA_CALL_MEDIA_ERROR: "broken",
            }
            emit("media", status=statuses[media.status])

    @told
    def onCallTransferStatus(self, prm):
        emit("transfer", status=prm.statusCode, final=prm.finalNotify)

    @told
    def onDtmfDigit(self, prm):
        emit("dtmf", digit=prm.digit)


class Account(pj.Account):
    def __init__(self, player, recorder):
        super().__init__()
        self.calls = []
        self.player = player
        self.recorder = recorder

    @told
    def onRegState(self, prm):
        emit("registration", status=prm.code)

    @told
    def onIncomingCall(self, prm):
        call = Call(self, prm.callId)
        self.calls.append(call)
        emit("incoming", call=call.getInfo().callIdString)
        if CONFIG["answer"]:
            call.answer(parameters(CONFIG["answer"]))


def account_settings():
    settings = pj.AccountConfig()
    settings.idUri = CONFIG["address"]
    settings.sipConfig.transportId = CONFIG["transport_id"]
    settings.callConfig.prackUse = {
        "off": pj.PJSUA_100REL_NOT_USED,
        "on": pj.PJSUA_100REL_OPTIONAL,
        "required": pj.PJSUA_100REL_MANDATORY,
    }[CONFIG["reliable_ringing"]]
    settings.callConfig.timerUse = pj.PJSUA_SIP_TIMER_OPTIONAL
    settings.callConfig.timerMinSESec = CONFIG["session_seconds"]
    settings.callConfig.timerSessExpiresSec = CONFIG["session_seconds"]
    settings.mediaConfig.transportConfig.port = CONFIG["media_port"]
    settings.mediaConfig.transportConfig.boundAddress = CONFIG["host"]
    settings.mediaConfig.srtpUse = (
        pj.PJMEDIA_SRTP_MANDATORY if CONFIG["srtp"] else pj.PJMEDIA_SRTP_DISABLED
    )
    settings.mediaConfig.srtpSecureSignaling = 1 if CONFIG["srtp"] else 0
    # A call for one stream only: no second one is asked for after the answer.
    settings.natConfig.sipStunUse = pj.PJSUA_STUN_USE_DISABLED
    settings.natConfig.contactRewriteUse = 0
    settings.natConfig.iceEnabled = CONFIG["ice"]
    outbound = CONFIG["outbound"]
    if outbound:
        settings.regConfig.registrarUri = outbound["registrar"]
        settings.sipConfig.proxies.append(outbound["edge"])
        settings.sipConfig.authCreds.append(
            pj.AuthCredInfo("digest", "*", CONFIG["name"], 0, outbound["password"])
        )
        settings.natConfig.sipOutboundUse = 1
    return settings


def transport(endpoint):
    settings = pj.TransportConfig()
    settings.port = CONFIG["port"]
    settings.boundAddress = CONFIG["host"]
    settings.publicAddress = CONFIG["host"]
    if CONFIG["transport"] == "udp":
        return endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, settings)
    if CONFIG["transport"] == "tcp":
        return endpoint.transportCreate(pj.PJSIP_TRANSPORT_TCP, settings)
    tls = settings.tlsConfig
    tls.CaListFile = CONFIG["authority"]
    tls.certFile = CONFIG["certificate"]
    tls.privKeyFile = CONFIG["key"]
    tls.method = pj.PJSIP_TLSV1_2_METHOD
    tls.verifyServer = True
    return endpoint.transportCreate(pj.PJSIP_TRANSPORT_TLS, settings)


def serve(account, command):
    """Does what a command says; false when it was the last one."""
    kind = command["command"]
    call = account.calls[-1] if account.calls else None
    if kind == "quit":
        return False
    if kind == "call":
        call = Call(account)
        account.calls.append(call)
        call.makeCall(command["uri"], parameters(headers=command["headers"]))
    elif kind == "answer":
        call.answer(parameters(command["status"]))
    elif kind == "hangup":
        call.hangup(pj.CallOpParam(True))
    elif kind == "transfer":
        call.xfer(command["uri"], pj.CallOpParam(True))
    elif kind == "transfer_to_first":
        call.xferReplaces(account.calls[0], pj.CallOpParam(True))
    elif kind == "hold":
        call.setHold(pj.CallOpParam(True))
    elif kind in ("resume", "reinvite"):
        parameter = parameters()
        parameter.opt.flag = pj.PJSUA_CALL_UNHOLD
        call.reinvite(parameter)
    elif kind == "update":
        call.update(parameters())
    elif kind == "dtmf":
        parameter = pj.CallSendDtmfParam()
        parameter.digits = command["digits"]
        parameter.method = {
            "rtp": pj.PJSUA_DTMF_METHOD_RFC2833,
            "info": pj.PJSUA_DTMF_METHOD_SIP_INFO,
        }[command["method"]]
        call.sendDtmf(parameter)
    elif kind == "statistics":
        # The index of the only stream.
        received = call.getStreamStat(0).rtcp.rxStat
        info = call.getStreamInfo(0)
        emit("statistics", received=received.pkt, codec=info.codecName)
    else:
        raise ValueError(kind)
    return True


def main():
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    settings = pj.EpConfig()
    settings.uaConfig.threadCnt = 0
    settings.uaConfig.mainThreadOnly = True
    log = Log()
    settings.logConfig.writer = log
    settings.logConfig.level = 5
    settings.logConfig.consoleLevel = 5
    settings.logConfig.msgLogging = 1
    settings.medConfig.noVad = True
    endpoint.libInit(settings)
    CONFIG["transport_id"] = transport(endpoint)
    endpoint.libStart()
    endpoint.audDevManager().setNullDev()
    for codec in endpoint.codecEnum2():
        wanted = codec.codecId.split("/")[0] in CONFIG["codecs"]
        endpoint.codecSetPriority(codec.codecId, 200 if wanted else 0)
    player = pj.AudioMediaPlayer()
    player.createPlayer(CONFIG["sound"])
    recorder = pj.AudioMediaRecorder()
    recorder.createRecorder(CONFIG["recording"])
    account = Account(player, recorder)
    account.create(account_settings())
    emit("ready")
    pending = b""
    serving = True
    while serving:
        endpoint.libHandleEvents(POLL_MS)
        if not select.select([0], [], [], 0)[0]:
            continue
        read = os.read(0, 65536)
        if not read:
            break
        *lines, pending = (pending + read).split(b"\n")
        for line in lines:
            command = json.loads(line)
            try:
                serving = serve(account, command)
                emit("answer", number=command["number"], error=None)
            except pj.Error as error:
                emit("answer", number=command["number"], error=error.info())
    # This writes the length into the recording.
    account.player = account.recorder = player = recorder = None
    account.calls.clear()
    account.shutdown()
    endpoint.libDestroy()
    # What pjsua2 destroys at exit it destroys in an order that crashes: the process just ends.
    os._exit(0)


main()
